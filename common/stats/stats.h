// Statistics of repeated measurements. What too few values cannot say is absent.
//
// Threads: pure functions. Ownership: results are values. All inputs must be finite; their order
// does not matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace joulefarm {

// Absent for no values.
std::optional<double> Mean(absl::Span<const double> values);
std::optional<double> Median(absl::Span<const double> values);
// Of a sample (divided by n - 1); absent below 2 values.
std::optional<double> Stdev(absl::Span<const double> values);
// Hyndman-Fan type 7: linear between the order statistics around (n - 1) * q. `q` is 0 to 1; absent
// for no values.
std::optional<double> Percentile(absl::Span<const double> values, double q);

// Names of the ways an interval is made, as stored in ci_method.
inline constexpr absl::string_view kStudentT = "student_t";
inline constexpr absl::string_view kBootstrap = "bootstrap";

// Fewer values have no interval.
inline constexpr std::size_t kLeastForInterval = 3;

// Two-sided 95 % interval of the mean.
struct MeanInterval {
  double low = 0;
  double high = 0;
  absl::string_view method;  // kStudentT or kBootstrap
};

// Student's t below 20 values; from 20 on the bootstrap (expanded percentiles of 4 000 resamples),
// which asks for no normal distribution. The same values in the same order with the same seed give
// the same interval on every machine. Absent below 3 values.
std::optional<MeanInterval> MeanInterval95(absl::Span<const double> values, std::uint64_t seed = 1);

struct Summary {
  std::size_t n = 0;
  std::optional<double> mean;
  std::optional<double> median;
  std::optional<double> stdev;
  std::optional<MeanInterval> interval;
};
Summary Summarise(absl::Span<const double> values, std::uint64_t seed = 1);

}  // namespace joulefarm
