// Whether the measured power shows that a port was cut, or given back.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <cstddef>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "agent/host/live_reading.h"

namespace joulefarm::agent {

// Points before, and after, from which a step can be told.
inline constexpr std::size_t kFewestPointsOfAStep = 5;

struct PowerStep {
  double rise_w = 0;  // of the mean, from before to after; negative: it fell
  // What is no step: noise, also that which wanders, where the power was going anyway, and 2 %.
  double limit_w = 0;

  bool Rose() const { return rise_w > limit_w; }
  bool Fell() const { return -rise_w > limit_w; }
};

// What a cut does to the power that is measured.
enum class CutShows { kFall, kRise, kEither };

// By `power_path` of the agent's configuration (empty: not stated). A meter in the port's own line
// sees a fall; one that stands for the battery, and sensors of the device itself, a rise of what is
// drawn there instead. A supply that the meter is in may be either.
CutShows ShownBy(absl::string_view power_path);
bool ShowsCut(const PowerStep& step, CutShows shows);
bool ShowsPowerAgain(const PowerStep& step, CutShows shows);

// Points in order of time. nullopt: too few to tell.
std::optional<PowerStep> StepBetween(absl::Span<const PowerPoint> before,
                                     absl::Span<const PowerPoint> after);

}  // namespace joulefarm::agent
