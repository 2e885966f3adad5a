// The constant latency of a meter, from a load that was made to go up and down: no fit of clocks
// can see it, because it is the same in every stamp.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/measure/phases.h"

namespace joulefarm {

// The pattern that is driven: so many busy times, with idle ones as long around them.
inline constexpr int kPatternTimes = 3;
inline constexpr std::int64_t kPatternNs = 300'000'000;

struct PatternFit {
  double latency_ns = 0;  // from the load to the stamp; positive: stamps are late
  double u_ns = 0;        // k = 1
  double correlation = 0;
  double step_w = 0;  // busy less idle
};

// Samples at rising stamps; `busy` in order, none touching. Looks for latencies up to
// `most_latency_ns` either way, and needs samples for that much and half a busy time around the
// pattern. FAILED_PRECONDITION: what stands in the way (too few samples, the load does not show in
// the power, the latency is beyond the range).
absl::StatusOr<PatternFit> FitPattern(absl::Span<const std::int64_t> t_ns,
                                      absl::Span<const double> power_w,
                                      absl::Span<const Interval> busy,
                                      std::int64_t most_latency_ns);

// Whether stamps that are `latency_ns` late, and off by at most `bound_ns` besides, can be those of
// this load; empty, or by how much they are not.
std::string CheckAlignment(const PatternFit& fit, std::int64_t latency_ns, std::int64_t bound_ns);

}  // namespace joulefarm
