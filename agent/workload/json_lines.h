// The lines a `command` workload may print for Joulefarm (experiment.md, "command").
//
// Threads: pure functions. Ownership: results own their data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "absl/strings/string_view.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

// {"phase": "decode", "event": "begin"|"end"}
struct PhaseLine {
  enum class Edge { kBegin, kEnd };
  v1::Phase phase = v1::PHASE_OTHER;
  Edge edge = Edge::kBegin;
};

// {"metric": "otps", "value": 12.5, "unit": "1/s"}; the unit may be left out.
struct MetricLine {
  std::string name;
  double value = 0;
  std::string unit;
};

// {"token": 17}
struct TokenLine {
  std::int32_t id = 0;
};

using ReportLine = std::variant<PhaseLine, MetricLine, TokenLine>;

// nullopt: the line is log.
std::optional<ReportLine> ParseReportLine(absl::string_view line);

// "decode" and so on, the lower-case names of v1::Phase; nullopt for others.
std::optional<v1::Phase> PhaseOf(absl::string_view name);

}  // namespace joulefarm::agent
