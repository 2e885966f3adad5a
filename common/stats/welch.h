// The difference of two means of samples whose scatter may differ (Welch).
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <cstddef>
#include <optional>

namespace joulefarm {

// 97.5 % quantile of Student's t; degrees of freedom need not be whole, at least 1.
double StudentQuantile975(double degrees);

// What is known of a sample.
struct SampleMoments {
  double mean = 0;
  double stdev = 0;  // divided by n - 1
  std::size_t n = 0;
};

// Two-sided 95 % interval of b's mean less a's.
struct Difference {
  double value = 0;
  double low = 0;
  double high = 0;
  double degrees = 0;  // Welch and Satterthwaite's; infinite when nothing scatters
};

// Absent when a sample has fewer than 3 values, as everywhere.
std::optional<Difference> WelchDifference95(const SampleMoments& a, const SampleMoments& b);

}  // namespace joulefarm
