#include "agent/power/link/link.h"

#include "absl/strings/str_cat.h"

namespace joulefarm::agent {

absl::Status Link::Control(const ControlRequest& /*request*/, std::vector<std::uint8_t>& /*data*/,
                           int /*timeout_ms*/) {
  return absl::UnimplementedError("this link has no control transfers");
}

absl::Status HeldError(absl::string_view what, absl::string_view by, absl::string_view cure) {
  return absl::ResourceExhaustedError(absl::StrCat(what, " is held by ", by, ": ", cure));
}

}  // namespace joulefarm::agent
