#include "agent/run/settle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace joulefarm::agent {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;
constexpr std::int64_t kWindow = 30 * kSecond;
// Stamps of a host that has been up for a month.
constexpr std::int64_t kStart = 2'600'000 * kSecond;

// Watts every 100 ms from `from_s` to `to_s` after the start.
template <typename Power>
std::vector<PowerPoint> Points(double from_s, double to_s, Power power_w) {
  std::vector<PowerPoint> points;
  for (std::int64_t ms = std::llround(from_s * 1000); ms <= std::llround(to_s * 1000); ms += 100) {
    points.push_back({kStart + ms * kMs, power_w(static_cast<double>(ms) / 1000)});
  }
  return points;
}

template <typename Temperature>
void Heat(SettleJudge& judge, int from_s, int to_s, Temperature temp_c) {
  for (int s = from_s; s <= to_s; ++s)
    judge.AddTemperature(kStart + s * kSecond, temp_c(static_cast<double>(s)));
}

SettleVerdict JudgePower(double watts, double change_over_window) {
  SettleJudge judge(kWindow, kStart, true);
  judge.AddPower(
      Points(0, 30, [&](double t) { return watts + change_over_window * (t - 15) / 30; }));
  return judge.Judge(kStart + kWindow);
}

TEST(SettleTest, ConstantPowerAndTemperatureAreSettledOnceTheWindowIsFull) {
  SettleJudge judge(kWindow, kStart, true);
  judge.AddPower(Points(0, 30, [](double) { return 8.0; }));
  Heat(judge, 0, 30, [](double) { return 41.5; });
  const SettleVerdict early = judge.Judge(kStart + kWindow - kSecond);
  EXPECT_FALSE(early.settled);
  EXPECT_FALSE(early.power_moves);
  EXPECT_FALSE(early.temperature_moves);
  EXPECT_EQ(early.text, "watched for 29 s of 30 s");
  EXPECT_TRUE(judge.Judge(kStart + kWindow).settled);
}

TEST(SettleTest, PowerMayChangeByOnePerCentOfItsMeanInTheWindow) {
  for (const double watts : {0.5, 8.0, 300.0}) {
    EXPECT_TRUE(JudgePower(watts, 0.0099 * watts).settled) << watts;
    EXPECT_TRUE(JudgePower(watts, -0.0099 * watts).settled) << watts;
    EXPECT_FALSE(JudgePower(watts, 0.0101 * watts).settled) << watts;
    EXPECT_FALSE(JudgePower(watts, -0.0101 * watts).settled) << watts;
  }
  const SettleVerdict falling = JudgePower(8, -0.4);
  EXPECT_TRUE(falling.power_moves);
  EXPECT_FALSE(falling.temperature_moves);
  EXPECT_EQ(falling.text, "power -5.00 % in 30 s > 1 %");
}

TEST(SettleTest, TemperatureMayChangeByHalfADegreePerMinute) {
  for (const auto& [per_minute, settled] : {std::pair{0.49, true}, std::pair{-0.49, true},
                                            std::pair{0.51, false}, std::pair{-0.51, false}}) {
    SettleJudge judge(kWindow, kStart, false);
    Heat(judge, 0, 30, [&](double t) { return 50 + per_minute * t / 60; });
    const SettleVerdict verdict = judge.Judge(kStart + kWindow);
    EXPECT_EQ(verdict.settled, settled) << per_minute;
    EXPECT_EQ(verdict.temperature_moves, !settled) << per_minute;
  }
}

TEST(SettleTest, BothHaveToBeStill) {
  SettleJudge judge(kWindow, kStart, true);
  judge.AddPower(Points(0, 30, [](double) { return 8.0; }));
  Heat(judge, 0, 30, [](double t) { return 70 - t / 10; });
  const SettleVerdict verdict = judge.Judge(kStart + kWindow);
  EXPECT_FALSE(verdict.settled);
  EXPECT_FALSE(verdict.power_moves);
  EXPECT_TRUE(verdict.temperature_moves);
  EXPECT_EQ(verdict.text, "temperature -6.00 °C/min > 0.5, power +0.00 % in 30 s within 1 %");
}

TEST(SettleTest, ADeviceThatCalmsDownSettlesWhenTheStepHasLeftTheWindow) {
  SettleJudge judge(kWindow, kStart, true);
  const auto power = [](double t) { return t < 20 ? 12.0 : 6.0; };
  std::int64_t settled_at = 0;
  for (int s = 1; s <= 90 && settled_at == 0; ++s) {
    judge.AddPower(Points(s - 1, s, power));
    if (judge.Judge(kStart + s * kSecond).settled) settled_at = s;
  }
  // The last sample at 12 W is that of 19.9 s.
  EXPECT_EQ(settled_at, 50);
}

TEST(SettleTest, OverlappingStretchesAreOnePointEach) {
  SettleJudge judge(kWindow, kStart, true);
  for (int s = 5; s <= 30; s += 5) {
    // Ten seconds each time; the power would look different if the overlap counted twice.
    judge.AddPower(Points(std::max(0, s - 10), s, [](double t) { return 10 + t * t / 1000; }));
  }
  SettleJudge once(kWindow, kStart, true);
  once.AddPower(Points(0, 30, [](double t) { return 10 + t * t / 1000; }));
  EXPECT_EQ(judge.Judge(kStart + kWindow).text, once.Judge(kStart + kWindow).text);
}

TEST(SettleTest, ReadingsThatStopAreNotStill) {
  SettleJudge judge(kWindow, kStart, true);
  judge.AddPower(Points(0, 20, [](double) { return 8.0; }));
  const SettleVerdict verdict = judge.Judge(kStart + kWindow);
  EXPECT_FALSE(verdict.settled);
  EXPECT_TRUE(verdict.power_moves);
  EXPECT_THAT(verdict.text, HasSubstr("too few power readings"));

  SettleJudge heat(kWindow, kStart, false);
  Heat(heat, 0, 10, [](double) { return 40; });
  EXPECT_FALSE(heat.Judge(kStart + kWindow).settled);
  // None of them is left in the window.
  const SettleVerdict later = heat.Judge(kStart + 3 * kWindow);
  EXPECT_FALSE(later.settled);
  EXPECT_THAT(later.text, HasSubstr("too few temperatures"));
}

TEST(SettleTest, WithoutPowerToJudgeAndWithoutATemperatureThereIsNothingToJudge) {
  SettleJudge judge(kWindow, kStart, false);
  EXPECT_FALSE(judge.can_judge());
  judge.AddPower(Points(0, 30, [](double) { return 8.0; }));
  EXPECT_FALSE(judge.can_judge());
  EXPECT_FALSE(judge.Judge(kStart + kWindow).settled);
  judge.AddTemperature(kStart, 40);
  EXPECT_TRUE(judge.can_judge());
  EXPECT_TRUE(SettleJudge(kWindow, kStart, true).can_judge());
}

// Noise without a trend: whether it passes is a matter of its size, as the slope's own scatter is
// sigma * sqrt(12 / N) over the window.
TEST(SettleTest, QuietNoisePassesAndLoudNoiseDoesNot) {
  std::mt19937 random(1);
  const auto share_settled = [&](double sigma_w) {
    std::normal_distribution<double> noise(0, sigma_w);
    int settled = 0;
    for (int trial = 0; trial < 200; ++trial) {
      SettleJudge judge(kWindow, kStart, true);
      judge.AddPower(Points(0, 30, [&](double) { return 10 + noise(random); }));
      settled += judge.Judge(kStart + kWindow).settled ? 1 : 0;
    }
    return settled / 200.0;
  };
  EXPECT_GT(share_settled(0.15), 0.98);  // scatter 0.03 W, a third of the limit
  EXPECT_LT(share_settled(5), 0.15);     // scatter 1 W, ten times the limit
}

TEST(SettleTest, ASlowGaugeIsWaitedForInAShortWindow) {
  SettleJudge judge(kSecond, kStart, true);
  for (int s = 0; s <= 3; ++s) {
    const PowerPoint point{kStart + s * kSecond, 8};
    judge.AddPower({&point, 1});
    EXPECT_FALSE(judge.Judge(kStart + s * kSecond).settled) << s;
  }
  const PowerPoint fifth{kStart + 4 * kSecond, 8};
  judge.AddPower({&fifth, 1});
  EXPECT_TRUE(judge.Judge(kStart + 4 * kSecond).settled);
  // Its change is that over the time it took: 4 s.
  SettleJudge drifting(kSecond, kStart, true);
  for (int s = 0; s <= 4; ++s) {
    const PowerPoint point{kStart + s * kSecond, 8 + 0.03 * s};
    drifting.AddPower({&point, 1});
  }
  EXPECT_THAT(drifting.Judge(kStart + 4 * kSecond).text, HasSubstr("power +1.49 % in"));
  EXPECT_FALSE(drifting.Judge(kStart + 4 * kSecond).settled);
}

TEST(SettleTest, OfAGaugeOnlyChangesAreReadings) {
  SettleJudge judge(kWindow, kStart, true, true);
  // Asked every second, it refreshes every 20 s, from 20 s on.
  const auto power = [](double t) { return 8 + 0.001 * (std::floor(t / 20)); };
  int settled_at = 0;
  for (int s = 1; s <= 150 && settled_at == 0; ++s) {
    judge.AddPower(Points(s - 1, s, power));
    const SettleVerdict verdict = judge.Judge(kStart + s * kSecond);
    if (s == 35) {
      EXPECT_EQ(verdict.text, "the gauge has refreshed 1 times of 5");
    }
    if (verdict.settled) settled_at = s;
  }
  EXPECT_EQ(settled_at, 100);
  // Refreshes without a reading for a window are none.
  EXPECT_FALSE(judge.Judge(kStart + 140 * kSecond).settled);

  SettleJudge constant(kWindow, kStart, true, true);
  constant.AddPower(Points(0, 40, [](double) { return 8.0; }));
  EXPECT_FALSE(constant.Judge(kStart + 40 * kSecond).settled);
}

TEST(SettleTest, AShortWindowIsJudgedByWhatItHas) {
  SettleJudge judge(kSecond, kStart, true);
  judge.AddPower(Points(0, 1, [](double) { return 8.0; }));
  EXPECT_TRUE(judge.Judge(kStart + kSecond).settled);
}

}  // namespace
}  // namespace joulefarm::agent
