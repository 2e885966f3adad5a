#include "common/measure/baseline.h"

#include <cmath>
#include <functional>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace joulefarm {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;

// Samples every 10 ms from 0 to 60 s of a power that is a function of time in s.
PowerTrace Samples(const std::function<double(double)>& power_w) {
  std::vector<std::int64_t> t_ns;
  std::vector<std::int64_t> raw;
  for (std::int64_t t = 0; t <= 60 * kSecond; t += 10 * kMs) {
    t_ns.push_back(t);
    raw.push_back(std::llround(power_w(static_cast<double>(t) * 1e-9) * 1e6));
  }
  PowerTrace trace = MakePowerTrace(t_ns, raw, 1e-6, 100);
  trace.errors.gain_u = 0;
  trace.errors.offset_u_w = 0;
  return trace;
}

// The same as a counter of its energy (given as a function of time), 100 readings a second.
CounterTrace Counter(const std::function<double(double)>& energy_j) {
  std::vector<std::int64_t> t_ns;
  std::vector<std::int64_t> raw;
  for (std::int64_t t = 0; t <= 60 * kSecond; t += 10 * kMs) {
    t_ns.push_back(t);
    raw.push_back(std::llround(energy_j(static_cast<double>(t) * 1e-9) * 1e6));
  }
  CounterTrace trace = MakeCounterTrace(t_ns, raw, 1e-6, std::nullopt, 0);
  trace.errors.gain_u = 0;
  trace.errors.offset_u_w = 0;
  return trace;
}

std::optional<Baseline> Of(const PowerTrace& trace, std::optional<Interval> before,
                           std::optional<Interval> after) {
  return MeasureBaseline(before, after, [&](const Interval& part) {
    return IntegratePower(trace, {&part, 1});
  });
}
std::optional<Baseline> Of(const CounterTrace& trace, std::optional<Interval> before,
                           std::optional<Interval> after) {
  return MeasureBaseline(before, after, [&](const Interval& part) {
    return IntegrateCounter(trace, {&part, 1});
  });
}

constexpr Interval Seconds(std::int64_t from, std::int64_t to) {
  return {from * kSecond, to * kSecond};
}

TEST(BaselineTest, TheMeanOfBothSidesAndHalfTheirDifference) {
  // 2 W before 20 s, 3 W after: constant on each side.
  const PowerTrace trace = Samples([](double t) { return t < 20 ? 2.0 : 3.0; });
  const Baseline baseline = *Of(trace, Seconds(10, 14), Seconds(30, 34));
  EXPECT_NEAR(baseline.power_w, 2.5, 1e-9);
  EXPECT_NEAR(*baseline.u_w, 0.5, 1e-9);
  EXPECT_EQ(baseline.blocks, 8);
  const CounterTrace counter = Counter([](double t) { return t < 20 ? 2 * t : 40 + 3 * (t - 20); });
  const Baseline counted = *Of(counter, Seconds(10, 14), Seconds(30, 34));
  EXPECT_NEAR(counted.power_w, 2.5, 1e-9);
  EXPECT_NEAR(*counted.u_w, 0.5, 1e-9);
}

TEST(BaselineTest, AnEvenDriftIsTakenAtItsMiddle) {
  const PowerTrace trace = Samples([](double t) { return 1 + 0.1 * t; });
  const Baseline baseline = *Of(trace, Seconds(8, 10), Seconds(20, 22));
  // Means at 9 s and 21 s: 1.9 W and 3.1 W.
  EXPECT_NEAR(baseline.power_w, 2.5, 1e-9);
  EXPECT_NEAR(*baseline.u_w, 0.6, 1e-9);
}

TEST(BaselineTest, BlocksSayHowFarThePowerWanders) {
  // Seconds of 1 W and 3 W in turn: both sides mean 2 W, blocks differ.
  const CounterTrace trace = Counter([](double t) {
    const double whole = std::floor(t);
    const double part = t - whole;
    const bool odd = std::fmod(whole, 2) == 1;
    return 2 * whole - (odd ? 1 : 0) + part * (odd ? 3 : 1);
  });
  const Baseline baseline = *Of(trace, Seconds(10, 14), Seconds(30, 34));
  EXPECT_NEAR(baseline.power_w, 2, 1e-9);
  EXPECT_EQ(baseline.blocks, 8);
  // Eight values, 1 from their mean: sd = sqrt(8/7).
  EXPECT_NEAR(*baseline.u_w, std::sqrt(8.0 / 7) / std::sqrt(8.0), 1e-6);
}

TEST(BaselineTest, OneSideNeedsTwoBlocks) {
  const PowerTrace trace = Samples([](double) { return 2.0; });
  const Baseline one = *Of(trace, Interval{10 * kSecond, 11'900 * kMs}, std::nullopt);
  EXPECT_NEAR(one.power_w, 2, 1e-12);
  EXPECT_EQ(one.blocks, 1);
  EXPECT_FALSE(one.u_w);
  EXPECT_EQ(*Of(trace, std::nullopt, Seconds(10, 12))->u_w, 0);
  // Two short sides are compared with each other.
  const Baseline two =
      *Of(trace, Interval{10 * kSecond, 10'500 * kMs}, Interval{20 * kSecond, 20'500 * kMs});
  EXPECT_EQ(two.blocks, 0);
  EXPECT_NEAR(*two.u_w, 0, 1e-12);
}

TEST(BaselineTest, WithoutAUsableSideThereIsNone) {
  const PowerTrace trace = Samples([](double) { return 2.0; });
  EXPECT_FALSE(Of(trace, std::nullopt, std::nullopt));
  EXPECT_FALSE(Of(trace, Seconds(100, 110), std::nullopt));
  EXPECT_FALSE(Of(trace, Seconds(10, 10), std::nullopt));
  // A side the channel does not cover is left out.
  EXPECT_NEAR(Of(trace, Seconds(100, 110), Seconds(10, 12))->power_w, 2, 1e-12);
}

Energy Joules(double energy_j, double u_j, double duration_s) {
  Energy energy;
  energy.energy_j = energy_j;
  energy.energy_u_j = u_j;
  energy.duration_s = duration_s;
  return energy;
}

TEST(BaselineTest, NetIsGrossLessTheBaselineOverTheTime) {
  const NetEnergy net = *Net(Joules(50, 3, 4), {.power_w = 2.5, .u_w = 1, .blocks = 4});
  EXPECT_DOUBLE_EQ(net.net_j, 40);
  EXPECT_DOUBLE_EQ(*net.baseline_u_j, 4);
  EXPECT_DOUBLE_EQ(*net.net_u_j, 5);  // 3 and 4
}

TEST(BaselineTest, ANegativeNetStaysNegative) {
  EXPECT_DOUBLE_EQ(Net(Joules(5, 1, 4), {.power_w = 2, .u_w = 0, .blocks = 2})->net_j, -3);
}

TEST(BaselineTest, WhatIsNotKnownIsNotMadeUp) {
  const NetEnergy net = *Net(Joules(5, 1, 4), {.power_w = 1, .u_w = {}, .blocks = 1});
  EXPECT_DOUBLE_EQ(net.net_j, 1);
  EXPECT_FALSE(net.baseline_u_j);
  EXPECT_FALSE(net.net_u_j);
  Energy energy = Joules(5, 1, 4);
  energy.energy_u_j.reset();
  EXPECT_FALSE(Net(energy, {.power_w = 1, .u_w = 1, .blocks = 4})->net_u_j);
  energy.energy_j.reset();
  EXPECT_FALSE(Net(energy, {.power_w = 1, .u_w = 1, .blocks = 4}));
}

// Idle noise of independent seconds: the stated uncertainty covers the truth as often as one
// standard deviation of a Student t with 7 degrees of freedom does (65 %), and not by being wide.
TEST(BaselineTest, TheUncertaintyIsOneStandardDeviation) {
  std::mt19937 random(7);
  std::normal_distribution<double> noise(0, 0.2);
  int inside = 0;
  constexpr int kTrials = 400;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> watts(61);
    for (double& value : watts) value = 5 + noise(random);
    const PowerTrace trace = Samples([&](double t) { return watts[static_cast<std::size_t>(t)]; });
    const Baseline baseline = *Of(trace, Seconds(10, 18), std::nullopt);
    inside += std::abs(baseline.power_w - 5) <= *baseline.u_w ? 1 : 0;
  }
  EXPECT_GT(inside, kTrials * 0.58);
  EXPECT_LT(inside, kTrials * 0.72);
}

}  // namespace
}  // namespace joulefarm
