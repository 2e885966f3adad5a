// Axes of plots: readable units and round ticks.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace joulefarm::cli {

// How a quantity is shown: shown = value * factor, in `unit`.
struct ShownUnit {
  std::string name;  // "power"
  std::string unit;  // "W"
  double factor = 1;
  bool from_zero = true;  // the axis shows zero
};

// For a quantity of docs/schema.md whose values reach `magnitude`; counters are shown as their
// rate. An unknown quantity is shown as it is.
ShownUnit UnitFor(absl::string_view quantity, double magnitude);

struct Axis {
  double low = 0;
  double high = 1;
  std::vector<double> ticks;
  int decimals = 0;
};

// Between 2 and about `most` round ticks around [low, high]; the ends of the axis are ticks when
// `snap` is set, else they stay.
Axis MakeAxis(double low, double high, int most, bool snap);

std::string TickText(const Axis& axis, double tick);

}  // namespace joulefarm::cli
