// What an attempt was doing when: the phases that were reported, completed so that they partition
// the attempt.
//
// Threads: pure functions. Ownership: values. Times are ns on CLOCK_BOOTTIME of the attempt's host.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm {

// [start_ns, end_ns).
struct Interval {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;

  bool operator==(const Interval&) const = default;
};

struct PhaseSpan {
  v1::Phase phase = v1::PHASE_UNSPECIFIED;
  Interval span;
  std::optional<int> run;      // absent: outside runs
  std::optional<int> request;  // absent: of no single request
  std::int64_t bound_ns = 0;   // the stamps are off by at most this

  bool operator==(const PhaseSpan&) const = default;
};

struct Partition {
  std::vector<PhaseSpan>
      spans;  // in order, without a hole or an overlap, from the attempt's start to its end
  std::int64_t overlap_ns = 0;  // time that two of the phases claimed
};

// Phases in any order; what lies outside the attempt is cut off. Where two overlap the one that
// begins earlier keeps the time. What none covers becomes OTHER, outside runs. Empty phases stay,
// as a decode of one token is empty.
Partition CompletePartition(std::vector<PhaseSpan> phases, Interval attempt);

// In order, without empty ones, and with those that touch or overlap joined: edges inside are no
// edges of the whole.
std::vector<Interval> Joined(absl::Span<const Interval> parts);

}  // namespace joulefarm
