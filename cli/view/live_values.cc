#include "cli/view/live_values.h"

#include <cmath>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

constexpr double kMiB = 1 << 20;

// How tables mark where a number comes from.
const char* Mark(v1::Provenance provenance) {
  switch (provenance) {
    case v1::PROVENANCE_MODELLED:
    case v1::PROVENANCE_ESTIMATED:
      return "~";
    case v1::PROVENANCE_SIMULATED:
    case v1::PROVENANCE_REPLAYED:
      return "sim ";
    default:
      return "";
  }
}

}  // namespace

std::string PowerText(const v1::Telemetry& telemetry) {
  if (!telemetry.has_power_w() || !std::isfinite(telemetry.power_w())) return "";
  return absl::StrCat(Mark(telemetry.provenance()), SignificantReal(telemetry.power_w(), 3), " W");
}

std::string TempText(const v1::Telemetry& telemetry) {
  return telemetry.has_temp_c() ? absl::StrFormat("%.0f °C", telemetry.temp_c()) : "";
}

std::string ClockText(const v1::Telemetry& telemetry) {
  return telemetry.has_cpu_hz() ? absl::StrFormat("%.2f GHz", telemetry.cpu_hz() / 1e9) : "";
}

std::string CpuText(const v1::Telemetry& telemetry) {
  return telemetry.has_cpu_share() ? absl::StrFormat("%.0f %%", telemetry.cpu_share() * 100) : "";
}

std::string SpeedText(const v1::Telemetry& telemetry) {
  if (!telemetry.has_tokens_per_s() || !std::isfinite(telemetry.tokens_per_s())) return "";
  return absl::StrCat(SignificantReal(telemetry.tokens_per_s(), 3), " tok/s");
}

std::string MemoryText(const v1::Telemetry& telemetry) {
  if (!telemetry.has_rss_bytes()) return "";
  return absl::StrCat(SignificantReal(static_cast<double>(telemetry.rss_bytes()) / kMiB, 3),
                      " MiB");
}

std::string DoingText(const std::string& cell_words, const std::string& state,
                      const std::string& detail) {
  std::vector<std::string> parts;
  if (!cell_words.empty()) parts.push_back(OneLine(cell_words));
  const std::string word = absl::AsciiStrToLower(OneLine(state));
  if (detail.empty()) {
    if (!word.empty()) parts.push_back(word);
  } else if (state == "RUNNING") {
    parts.push_back(OneLine(detail));
  } else {
    parts.push_back(absl::StrCat(word, ": ", OneLine(detail)));
  }
  return absl::StrJoin(parts, " · ");
}

}  // namespace joulefarm::cli
