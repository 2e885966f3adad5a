// What both ways of integrating share. Internal to common/measure.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/measure/energy.h"
#include "common/units/units.h"

namespace joulefarm {

// A sum that keeps what rounding drops (Neumaier): an hour at 5 kHz is 18 million addends.
class ExactSum {
 public:
  void Add(double value) {
    const double sum = sum_ + value;
    const bool larger = std::abs(sum_) >= std::abs(value);
    rest_ += larger ? (sum_ - sum) + value : (value - sum) + sum_;
    sum_ = sum;
  }
  double Value() const { return sum_ + rest_; }

 private:
  double sum_ = 0;
  double rest_ = 0;
};

// Lowest and highest of what was put in.
struct Range {
  bool empty = true;
  double low = 0;
  double high = 0;
  void Add(double value) {
    low = empty ? value : std::min(low, value);
    high = empty ? value : std::max(high, value);
    empty = false;
  }
  double Width() const { return high - low; }
};

// Index of the last stamp that is not later than `t_ns`; there must be one.
inline std::size_t LastNotAfter(const std::vector<std::int64_t>& stamps, std::int64_t t_ns) {
  return static_cast<std::size_t>(std::upper_bound(stamps.begin(), stamps.end(), t_ns) -
                                  stamps.begin()) -
         1;
}

std::int64_t DurationNs(absl::Span<const Interval> parts);

// No value, and why.
void Refuse(Code code, std::string detail, Energy& energy);

// Time of the parts outside `covered`, ns.
std::int64_t UncoveredNs(absl::Span<const Interval> parts, const Interval& covered);

// Fills in gain, offset, mean power and the sum of the parts, once energy and duration stand; adds
// duplicates' finding.
void Complete(const SourceErrors& errors, std::int64_t duplicates, std::size_t samples,
              Energy& energy);

}  // namespace joulefarm
