#include "common/stats/stats.h"

#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace joulefarm {
namespace {

using Values = std::vector<double>;

TEST(StatsTest, NothingSaysNothing) {
  EXPECT_FALSE(Mean({}));
  EXPECT_FALSE(Median({}));
  EXPECT_FALSE(Percentile({}, 0.5));
  EXPECT_FALSE(Stdev({}));
  EXPECT_FALSE(Stdev(Values{1}));
  EXPECT_FALSE(MeanInterval95(Values{1, 2}));
  EXPECT_EQ(Summarise({}).n, 0u);
}

TEST(StatsTest, KnownValues) {
  const Values values{2, 4, 4, 4, 5, 5, 7, 9};
  EXPECT_DOUBLE_EQ(*Mean(values), 5);
  EXPECT_DOUBLE_EQ(*Median(values), 4.5);
  EXPECT_NEAR(*Stdev(values), std::sqrt(32.0 / 7), 1e-12);
  EXPECT_DOUBLE_EQ(*Stdev(Values{3, 3, 3}), 0);
}

TEST(StatsTest, PercentilesAreType7) {
  // R: quantile(c(15, 20, 35, 40, 50), c(.05, .3, .4, .5, 1), type = 7)
  const Values values{40, 15, 50, 20, 35};
  EXPECT_NEAR(*Percentile(values, 0.05), 16, 1e-12);
  EXPECT_NEAR(*Percentile(values, 0.3), 23, 1e-12);
  EXPECT_NEAR(*Percentile(values, 0.4), 29, 1e-12);
  EXPECT_NEAR(*Percentile(values, 0.5), 35, 1e-12);
  EXPECT_NEAR(*Percentile(values, 0), 15, 1e-12);
  EXPECT_NEAR(*Percentile(values, 1), 50, 1e-12);
  EXPECT_DOUBLE_EQ(*Percentile(Values{7}, 0.99), 7);
}

TEST(StatsTest, StudentIntervalBelowTwenty) {
  // t(0.975, 2) = 4.30265; stdev 1, mean 2, n 3.
  const MeanInterval interval = *MeanInterval95(Values{1, 2, 3});
  EXPECT_EQ(interval.method, kStudentT);
  EXPECT_NEAR(interval.low, 2 - 4.302652729696142 / std::sqrt(3.0), 1e-12);
  EXPECT_NEAR(interval.high, 2 + 4.302652729696142 / std::sqrt(3.0), 1e-12);
  // t(0.975, 18) = 2.10092; values 1 … 19: mean 10, stdev sqrt(95/3).
  Values values(19);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i + 1);
  const MeanInterval nineteen = *MeanInterval95(values);
  EXPECT_EQ(nineteen.method, kStudentT);
  EXPECT_NEAR(nineteen.high, 10 + 2.100922040240960 * std::sqrt(95.0 / 3 / 19), 1e-9);
}

TEST(StatsTest, BootstrapFromTwentyIsDeterministic) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> skewed(0, 0.5);
  Values values(20);
  for (double& value : values) value = skewed(random);
  const MeanInterval first = *MeanInterval95(values, 3);
  const MeanInterval again = *MeanInterval95(values, 3);
  const MeanInterval other = *MeanInterval95(values, 4);
  EXPECT_EQ(first.method, kBootstrap);
  EXPECT_EQ(first.low, again.low);
  EXPECT_EQ(first.high, again.high);
  EXPECT_NE(first.low, other.low);
  EXPECT_LT(first.low, *Mean(values));
  EXPECT_GT(first.high, *Mean(values));
}

// Share of intervals that hold the true mean 10 of normal values.
double Coverage(std::size_t n) {
  std::mt19937_64 random(11);
  std::normal_distribution<double> normal(10, 2);
  int inside = 0;
  constexpr int kTrials = 1000;
  for (int trial = 0; trial < kTrials; ++trial) {
    Values values(n);
    for (double& value : values) value = normal(random);
    const MeanInterval interval = *MeanInterval95(values);
    inside += interval.low <= 10 && 10 <= interval.high ? 1 : 0;
  }
  return static_cast<double>(inside) / kTrials;
}

TEST(StatsTest, IntervalsHoldTheMeanAsOftenAsTheySay) {
  EXPECT_NEAR(Coverage(3), 0.95, 0.02);
  EXPECT_NEAR(Coverage(10), 0.95, 0.02);
  EXPECT_NEAR(Coverage(20), 0.95, 0.02);
  EXPECT_NEAR(Coverage(40), 0.95, 0.02);
}

TEST(StatsTest, SummaryHoldsAll) {
  const Summary summary = Summarise(Values{3, 1, 2});
  EXPECT_EQ(summary.n, 3u);
  EXPECT_DOUBLE_EQ(*summary.mean, 2);
  EXPECT_DOUBLE_EQ(*summary.median, 2);
  EXPECT_DOUBLE_EQ(*summary.stdev, 1);
  EXPECT_EQ(summary.interval->method, kStudentT);
}

}  // namespace
}  // namespace joulefarm
