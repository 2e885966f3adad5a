#include "common/stats/welch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace joulefarm {
namespace {

TEST(WelchTest, QuantilesAreThoseOfTheTables) {
  EXPECT_NEAR(StudentQuantile975(1), 12.7062047362, 1e-9);
  EXPECT_NEAR(StudentQuantile975(2), 4.302652729696, 1e-9);
  EXPECT_NEAR(StudentQuantile975(4), 2.776445105198, 1e-9);
  EXPECT_NEAR(StudentQuantile975(18), 2.100922040240, 1e-9);
  EXPECT_NEAR(StudentQuantile975(30), 2.042272456301, 1e-9);
  EXPECT_NEAR(StudentQuantile975(1000), 1.962339080, 1e-8);
  EXPECT_NEAR(StudentQuantile975(1e9), 1.959963984540, 1e-9);
  // Between whole numbers it lies between their quantiles.
  EXPECT_LT(StudentQuantile975(3.5), StudentQuantile975(3));
  EXPECT_GT(StudentQuantile975(3.5), StudentQuantile975(4));
}

TEST(WelchTest, IsWorkedOutAsInTextbooks) {
  // Means 20.82 and 22.9857, variances 7.79 and 1.9, n 15 each: by hand df = 20.45 (two decimals).
  const auto difference =
      WelchDifference95({20.82, std::sqrt(7.79), 15}, {22.9857, std::sqrt(1.9), 15});
  ASSERT_TRUE(difference.has_value());
  EXPECT_NEAR(difference->value, 2.1657, 1e-12);
  const double variance = (7.79 + 1.9) / 15;
  const double degrees = variance * variance / ((7.79 * 7.79 + 1.9 * 1.9) / (15.0 * 15 * 14));
  EXPECT_NEAR(difference->degrees, degrees, 1e-9);
  EXPECT_NEAR(difference->high - difference->value,
              StudentQuantile975(degrees) * std::sqrt(variance), 1e-12);
  EXPECT_NEAR(difference->value - difference->low, difference->high - difference->value, 1e-12);
}

TEST(WelchTest, EqualSamplesHaveTheirPooledDegrees) {
  const auto difference = WelchDifference95({5, 1, 4}, {5, 1, 4});
  ASSERT_TRUE(difference.has_value());
  EXPECT_NEAR(difference->degrees, 6, 1e-9);
  EXPECT_LT(difference->low, 0);
}

TEST(WelchTest, TooFewAreAbsentAndNoScatterIsExact) {
  EXPECT_FALSE(WelchDifference95({5, 1, 2}, {5, 1, 9}).has_value());
  EXPECT_FALSE(WelchDifference95({5, 1, 9}, {5, 1, 0}).has_value());
  const auto exact = WelchDifference95({5, 0, 3}, {7, 0, 3});
  ASSERT_TRUE(exact.has_value());
  EXPECT_EQ(exact->low, 2);
  EXPECT_EQ(exact->high, 2);
}

TEST(WelchTest, HoldsTheTrueDifferenceAsOftenAsItSays) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal(0, 1);
  const auto draw = [&](double mean, double sd, std::size_t n) {
    double sum = 0;
    double squares = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double x = mean + sd * normal(random);
      sum += x;
      squares += x * x;
    }
    const auto count = static_cast<double>(n);
    return SampleMoments{sum / count, std::sqrt((squares - sum * sum / count) / (count - 1)), n};
  };
  int held = 0;
  constexpr int kTrials = 4000;
  for (int i = 0; i < kTrials; ++i) {
    const auto difference = WelchDifference95(draw(10, 1, 5), draw(12, 3, 8));
    if (difference && difference->low <= 2 && difference->high >= 2) ++held;
  }
  EXPECT_GT(held, 0.94 * kTrials);
  EXPECT_LT(held, 0.965 * kTrials);
}

}  // namespace
}  // namespace joulefarm
