#include "agent/run/power_step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kMs = 1'000'000;

// A second of a power, a point each 10 ms.
std::vector<PowerPoint> Look(double from_s, const std::function<double(double t_s)>& watts) {
  std::vector<PowerPoint> points;
  for (int i = 0; i < 100; ++i) {
    const double t_s = from_s + 0.01 * i;
    points.push_back({std::llround(t_s * 1e9), watts(t_s)});
  }
  return points;
}

// As a cut is looked at: a second before, and one from two seconds after it.
PowerStep Step(const std::function<double(double t_s)>& watts) {
  const auto step = StepBetween(Look(0, watts), Look(3, watts));
  EXPECT_TRUE(step);
  return step.value_or(PowerStep());
}

// Levels 5 W and then `watts`, with noise.
PowerStep NoisyStep(double watts, double noise_w) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> noise(0, noise_w);
  return Step([&](double t_s) { return (t_s < 2 ? 5 : watts) + noise(random); });
}

TEST(PowerStepTest, ACutIsAFallAndNothingElse) {
  EXPECT_TRUE(NoisyStep(3.5, 0.2).Fell());
  EXPECT_FALSE(NoisyStep(3.5, 0.2).Rose());
  // What the device draws more meanwhile is no cut.
  EXPECT_FALSE(NoisyStep(6.5, 0.2).Fell());
  EXPECT_TRUE(NoisyStep(6.5, 0.2).Rose());
  EXPECT_FALSE(NoisyStep(5, 0.2).Fell());
}

TEST(PowerStepTest, WhatACutDoesDependsOnWhereTheMeterIs) {
  const PowerStep fell = NoisyStep(3.5, 0.2);
  const PowerStep rose = NoisyStep(6.5, 0.2);
  const PowerStep none = NoisyStep(5, 0.2);
  for (const char* path : {"", "inline_battery_removed", "inline_battery_present"}) {
    EXPECT_TRUE(ShowsCut(fell, ShownBy(path))) << path;
    EXPECT_FALSE(ShowsCut(rose, ShownBy(path))) << path;
    EXPECT_TRUE(ShowsPowerAgain(rose, ShownBy(path))) << path;
    EXPECT_FALSE(ShowsPowerAgain(fell, ShownBy(path))) << path;
  }
  for (const char* path : {"battery_bypass", "internal"}) {
    EXPECT_TRUE(ShowsCut(rose, ShownBy(path))) << path;
    EXPECT_FALSE(ShowsCut(fell, ShownBy(path))) << path;
    EXPECT_TRUE(ShowsPowerAgain(fell, ShownBy(path))) << path;
    EXPECT_FALSE(ShowsPowerAgain(rose, ShownBy(path))) << path;
  }
  EXPECT_TRUE(ShowsCut(rose, ShownBy("supply")));
  EXPECT_TRUE(ShowsCut(fell, ShownBy("supply")));
  for (const char* path : {"", "battery_bypass", "supply"}) {
    EXPECT_FALSE(ShowsCut(none, ShownBy(path))) << path;
    EXPECT_FALSE(ShowsPowerAgain(none, ShownBy(path))) << path;
  }
}

TEST(PowerStepTest, AFallHasToBeMoreThanTheNoise) {
  EXPECT_TRUE(NoisyStep(4.6, 0.01).Fell());
  EXPECT_FALSE(NoisyStep(4.6, 1).Fell());
  EXPECT_FALSE(NoisyStep(4.95, 0.001).Fell()) << "1 % of it";
}

TEST(PowerStepTest, PowerThatWandersByItselfIsNoFall) {
  // Over a second its mean is known to 10 mW, were its readings independent.
  const auto wanders = [](double t_s) { return 5 + 0.15 * std::cos(2 * M_PI * t_s / 2.2); };
  const PowerStep step = Step(wanders);
  EXPECT_LT(step.rise_w, -0.02) << "it does fall between the looks";
  EXPECT_FALSE(step.Fell());
  // A device that cools down.
  const PowerStep cools = Step([](double t_s) { return 5 - 0.1 * t_s; });
  EXPECT_NEAR(cools.rise_w, -0.3, 1e-9);
  EXPECT_FALSE(cools.Fell());
  EXPECT_TRUE(Step([](double t_s) { return (t_s < 2 ? 5 : 3) - 0.1 * t_s; }).Fell());
}

TEST(PowerStepTest, FewPointsTellNothing) {
  std::vector<PowerPoint> few = Look(0, [](double) { return 5; });
  const std::vector<PowerPoint> many = Look(3, [](double) { return 1; });
  few.resize(kFewestPointsOfAStep - 1);
  EXPECT_FALSE(StepBetween(few, many));
  EXPECT_FALSE(StepBetween(many, few));
  few.push_back({500 * kMs, 5});
  EXPECT_TRUE(StepBetween(few, many)->Fell());
}

}  // namespace
}  // namespace joulefarm::agent
