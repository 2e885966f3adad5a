// Stretches of a host's time over which its clock ran evenly: nothing is interpolated across their
// ends.
//
// Threads: a value, then pure. Ownership: values. Stamps are ns on CLOCK_BOOTTIME of the host.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "common/measure/phases.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm {

// ρ: a clock's rate is off from its crystal's by at most this, or it begins a new segment.
inline constexpr double kMostRate = 200e-6;
// So two hosts' clocks, neither of which began a new segment, differ in rate by at most this: their
// crystals are within 100 ppm of each other, the rest is for what reading the clocks leaves open.
inline constexpr double kMostPeerRate = 3 * kMostRate;

// Whether BOOTTIME ran at another rate than MONOTONIC_RAW, by more than `rho` and what reading both
// may take, over the same time on the two clocks, ns.
bool RunsUnevenly(double boot_ns, double raw_ns, double rho = kMostRate);

class ClockSegments {
 public:
  // One segment, without an end.
  ClockSegments() = default;
  // A new one begins where BOOTTIME - MONOTONIC jumps (the host slept) or where BOOTTIME runs at a
  // rate that is off from MONOTONIC_RAW's by more than `rho` (it was slewed or set). When between
  // its two snapshots that was is not known: all between them belongs to no segment.
  explicit ClockSegments(std::vector<v1::ClockSnapshot> snapshots, double rho = kMostRate);

  // Further stretches that belong to no segment, in any order.
  void Break(std::vector<Interval> breaks);

  // The number of the segment, from 0; nullopt between two of them.
  std::optional<int> Of(std::int64_t t_ns) const;
  int count() const { return static_cast<int>(breaks_.size()) + 1; }
  // What lies between them, in order.
  const std::vector<Interval>& breaks() const { return breaks_; }

 private:
  std::vector<Interval> breaks_;
};

}  // namespace joulefarm
