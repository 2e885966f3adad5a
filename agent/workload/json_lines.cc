#include "agent/workload/json_lines.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/workload/json_member.h"

namespace joulefarm::agent {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLongestName = 200;

std::optional<std::string> Text(const Json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_string()) return std::nullopt;
  std::string text = it->get<std::string>();
  return text.size() <= kLongestName ? std::optional(std::move(text)) : std::nullopt;
}

std::optional<ReportLine> Phase(const Json& json) {
  const auto name = Text(json, "phase");
  const auto event = Text(json, "event");
  if (!name || !event || (*event != "begin" && *event != "end")) return std::nullopt;
  const std::optional<v1::Phase> phase = PhaseOf(*name);
  if (!phase) return std::nullopt;
  return PhaseLine{*phase, *event == "begin" ? PhaseLine::Edge::kBegin : PhaseLine::Edge::kEnd};
}

std::optional<ReportLine> Metric(const Json& json) {
  const auto name = Text(json, "metric");
  const auto value = json.find("value");
  if (!name || name->empty() || value == json.end() || !value->is_number()) return std::nullopt;
  MetricLine metric{*name, value->get<double>(), ""};
  if (json.contains("unit")) {
    const auto unit = Text(json, "unit");
    if (!unit) return std::nullopt;
    metric.unit = *unit;
  }
  return std::isfinite(metric.value) ? std::optional<ReportLine>(metric) : std::nullopt;
}

std::optional<ReportLine> Token(const Json& json) {
  const std::optional<std::int32_t> id = Count(json, "token");
  return id ? std::optional<ReportLine>(TokenLine{*id}) : std::nullopt;
}

}  // namespace

std::optional<v1::Phase> PhaseOf(absl::string_view name) {
  v1::Phase phase = v1::PHASE_UNSPECIFIED;
  if (name != absl::AsciiStrToLower(name)) return std::nullopt;
  if (!v1::Phase_Parse(absl::StrCat("PHASE_", absl::AsciiStrToUpper(name)), &phase))
    return std::nullopt;
  return phase == v1::PHASE_UNSPECIFIED ? std::nullopt : std::optional(phase);
}

std::optional<ReportLine> ParseReportLine(absl::string_view line) {
  line = absl::StripAsciiWhitespace(line);
  if (!absl::StartsWith(line, "{")) return std::nullopt;
  const Json json = ParseJson(line);
  if (json.is_discarded() || !json.is_object()) return std::nullopt;
  if (json.contains("phase")) return Phase(json);
  if (json.contains("metric")) return Metric(json);
  if (json.contains("token")) return Token(json);
  return std::nullopt;
}

}  // namespace joulefarm::agent
