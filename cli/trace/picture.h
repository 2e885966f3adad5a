// What the pictures of a trace have in common: colours and letters of phases, titles, bounds.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cli/trace/axis.h"
#include "cli/trace/curve.h"
#include "cli/trace/trace_info.h"

namespace joulefarm::cli {

// How a phase looks. The colours are those of Okabe and Ito, told apart with any colour vision;
// letters say the same without colour.
struct PhaseStyle {
  absl::string_view phase;
  absl::string_view words;
  char letter;
  int terminal;  // of the 256 colours
  absl::string_view svg;
};

const PhaseStyle& StyleOfPhase(absl::string_view phase);

// The styles that occur between two instants, in the order of a run.
std::vector<const PhaseStyle*> PhasesWithin(const TraceInfo& info, std::int64_t from_ns,
                                            std::int64_t to_ns);

// A curve with the axes to draw it on.
struct Picture {
  TraceInfo info;
  Curve curve;
  std::int64_t origin_ns = 0;   // zero of the time axis
  std::optional<TraceRun> run;  // when only one is shown
  ShownUnit unit;

  double Seconds(std::int64_t t_ns) const { return static_cast<double>(t_ns - origin_ns) / 1e9; }
  double Shown(double value) const { return value * unit.factor; }
  Axis TimeAxis(int most) const;
  Axis ValueAxis(int most) const;

  // "power in W", "~ power in W (estimated)", "sim power in W (replayed)".
  std::string ValueLabel() const;
  // "s since the attempt began", "s since run 2 began".
  std::string TimeLabel() const;
  // "edge-7f3a · tiny-q8_0 · threads=2".
  std::string Title() const;
  // "estimated · scope device · estimated, not measured · job-1, attempt 1".
  std::string Subtitle() const;
  // What has to be said below: how a counter became power, how many samples, what is missing.
  std::vector<std::string> Notes() const;
};

}  // namespace joulefarm::cli
