#include "common/stats/welch.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/stats/stats.h"

namespace joulefarm {
namespace {

constexpr double kNormal975 = 1.959963984540054;

// The continued fraction of the incomplete beta function, by Lentz's method. Converges fast for
// x < (a + 1) / (a + b + 2).
double BetaFraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  const auto nonzero = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1;
  double d = 1 / nonzero(1 - (a + b) * x / (a + 1));
  double fraction = d;
  for (int m = 1; m <= 500; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / nonzero(1 + even * d);
    c = nonzero(1 + even / c);
    fraction *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / nonzero(1 + odd * d);
    c = nonzero(1 + odd / c);
    fraction *= d * c;
    if (std::abs(d * c - 1) < 1e-15) break;
  }
  return fraction;
}

// Regularised incomplete beta function.
double Beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * BetaFraction(a, b, x) / a;
  return 1 - front * BetaFraction(b, a, 1 - x) / b;
}

}  // namespace

double StudentQuantile975(double degrees) {
  degrees = std::max(1.0, degrees);
  // The difference is below 1e-6 from here on, and the fraction would take long.
  if (degrees > 1e6) return kNormal975;
  double low = kNormal975;
  double high = 12.71;
  for (int i = 0; i < 100 && high - low > 1e-13; ++i) {
    const double middle = (low + high) / 2;
    const double outside = Beta(degrees / 2, 0.5, degrees / (degrees + middle * middle));
    (outside > 0.05 ? low : high) = middle;
  }
  return (low + high) / 2;
}

std::optional<Difference> WelchDifference95(const SampleMoments& a, const SampleMoments& b) {
  if (a.n < kLeastForInterval || b.n < kLeastForInterval) return std::nullopt;
  const double a_part = a.stdev * a.stdev / static_cast<double>(a.n);
  const double b_part = b.stdev * b.stdev / static_cast<double>(b.n);
  Difference difference;
  difference.value = b.mean - a.mean;
  difference.low = difference.high = difference.value;
  difference.degrees = std::numeric_limits<double>::infinity();
  const double variance = a_part + b_part;
  if (variance <= 0) return difference;
  difference.degrees = variance * variance /
                       (a_part * a_part / static_cast<double>(a.n - 1) +
                        b_part * b_part / static_cast<double>(b.n - 1));
  const double half = StudentQuantile975(difference.degrees) * std::sqrt(variance);
  difference.low -= half;
  difference.high += half;
  return difference;
}

}  // namespace joulefarm
