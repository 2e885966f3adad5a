// The power a device draws anyway, and energy above it. docs/measurement.md has the formulas.
//
// Threads: pure functions. Ownership: values. Stamps are ns on CLOCK_BOOTTIME, power is W.
#pragma once

#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "common/measure/energy.h"

namespace joulefarm {

struct Baseline {
  double power_w = 0;
  // Standard uncertainty (k = 1); absent where neither two sides nor two blocks say how far the
  // power wanders.
  std::optional<double> u_w;
  int blocks = 0;  // of one second
};

// Energy of a channel over one interval: IntegratePower or IntegrateCounter of its trace.
using IntegrateInterval = absl::FunctionRef<Energy(const Interval&)>;

// From an interval before and one after what is measured, or only one of them. nullopt: the channel
// has a usable value of neither.
std::optional<Baseline> MeasureBaseline(const std::optional<Interval>& before,
                                        const std::optional<Interval>& after,
                                        IntegrateInterval integrate);

struct NetEnergy {
  double net_j = 0;  // below 0 where less was drawn than the baseline
  std::optional<double> net_u_j;
  std::optional<double> baseline_u_j;  // T * u_P0
};

// nullopt where there is no energy.
std::optional<NetEnergy> Net(const Energy& energy, const Baseline& baseline);

}  // namespace joulefarm
