// What integrating over all samples of a chunk gives, so that a long trace is decoded only where
// something begins or ends inside a chunk.
//
// Threads: pure function. Ownership: values.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/types/span.h"

namespace joulefarm {

// In raw units and ns; between samples the value is taken as a straight line. Sums are in the order
// of the samples, so that the same chunk always gives the same bits.
struct TraceSummary {
  std::int64_t first_raw = 0;
  std::int64_t last_raw = 0;
  std::int64_t lowest_raw = 0;
  std::int64_t highest_raw = 0;
  std::int64_t longest_ns = 0;  // between two neighbours; 0 of one sample
  double raw_ns = 0;            // integral of the value
  double raw2_ns = 0;           // integral of its square
  double step2_ns2 = 0;         // sum of (difference * interval)^2
  // Sum of the smaller of two neighbours of those: steps stand alone, noise does not.
  double noise2_ns2 = 0;

  bool operator==(const TraceSummary&) const = default;
};

// nullopt: no samples, columns of different length, or stamps that do not all rise (or by more than
// an int64 holds).
std::optional<TraceSummary> Summarise(absl::Span<const std::int64_t> t_ns,
                                      absl::Span<const std::int64_t> raw);

}  // namespace joulefarm
