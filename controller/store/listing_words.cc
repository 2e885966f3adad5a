#include "controller/store/listing_words.h"

#include "controller/store/enum_text.h"
#include "joulefarm/v1/device.pb.h"
#include "joulefarm/v1/job.pb.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::controller {

std::vector<std::string> ListingWords(v1::Listing listing, const std::string& column) {
  if (listing == v1::LISTING_EXPERIMENTS && column == "state") return {"QUEUED", "ACTIVE", "DONE"};
  if (listing == v1::LISTING_JOBS) {
    if (column == "state") return EnumTexts(v1::JobState_descriptor());
    if (column == "failure_class") return EnumTexts(v1::FailureClass_descriptor());
  }
  if (listing == v1::LISTING_DEVICES || listing == v1::LISTING_AGENTS) {
    if (column == "kind") return EnumTexts(v1::DeviceKind_descriptor());
    if (column == "link") return EnumTexts(v1::DeviceLink_descriptor());
    if (column == "alloc") return EnumTexts(v1::DeviceAlloc_descriptor());
    if (column == "admin") return EnumTexts(v1::DeviceAdmin_descriptor());
    if (column == "health") return EnumTexts(v1::DeviceHealth_descriptor());
  }
  if (listing == v1::LISTING_RESULTS || listing == v1::LISTING_RESULT_SUMMARY) {
    if (column == "provenance") return EnumTexts(v1::Provenance_descriptor());
    if (column == "energy_scope") return EnumTexts(v1::Scope_descriptor());
    if (column == "speed_quality" || column == "energy_quality")
      return EnumTexts(v1::Quality_descriptor());
  }
  return {};
}

}  // namespace joulefarm::controller
