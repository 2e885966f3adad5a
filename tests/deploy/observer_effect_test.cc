#include "deploy/benchmarks/observer_effect.h"

#include <gtest/gtest.h>

#include <random>

namespace joulefarm::bench {
namespace {

constexpr double kLimitPct = 0.5;

struct Made {
  double loss = 0;   // relative, of B
  double noise = 0;  // relative standard deviation of a segment
  double drift = 0;  // relative per segment, linear
  double outer = 0;  // relative, of the outer segments: something is wrong with A
  std::size_t blocks = 30;
};

std::vector<ObserverBlock> Make(const Made& made, std::uint64_t seed = 7) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<ObserverBlock> blocks(made.blocks);
  for (ObserverBlock& block : blocks) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      const bool sampled = IsSampled(i);
      const bool outer = i == 0 || i + 1 == block.size();
      block[i] = 200 * (1 - (sampled ? made.loss : 0)) * (1 + (outer ? made.outer : 0)) *
                 (1 + made.noise * normal(random)) * (1 + made.drift * static_cast<double>(i));
    }
  }
  return blocks;
}

ObserverEffect Judged(const Made& made) {
  absl::StatusOr<ObserverEffect> effect = JudgeObserver(Make(made), kLimitPct);
  EXPECT_TRUE(effect.ok()) << effect.status();
  return *effect;
}

TEST(ObserverEffect, AnExactLossIsFoundAndADriftCancels) {
  const ObserverEffect effect = Judged({.loss = 0.02});
  EXPECT_NEAR(effect.loss.mean_pct, 2, 1e-9);
  EXPECT_NEAR(effect.control.mean_pct, 0, 1e-9);
  EXPECT_EQ(effect.method, "bootstrap");
  EXPECT_EQ(effect.verdict, ObserverVerdict::kFail);
  // Linear in speed is nearly linear in its logarithm.
  const ObserverEffect drifting = Judged({.loss = 0.02, .drift = 1e-3});
  EXPECT_NEAR(drifting.loss.mean_pct, 2, 1e-3);
  EXPECT_NEAR(drifting.control.mean_pct, 0, 1e-3);
}

TEST(ObserverEffect, PassesOnlyWhenTheUpperEndIsWithinTheLimit) {
  const ObserverEffect none = Judged({.noise = 0.003});
  EXPECT_EQ(none.verdict, ObserverVerdict::kPass) << none.reason;
  EXPECT_LE(none.loss.high_pct, kLimitPct);
  EXPECT_LT(none.loss.low_pct, none.loss.mean_pct);
  EXPECT_LT(none.loss.mean_pct, none.loss.high_pct);
  // The mean is within the limit, the interval is not.
  const ObserverEffect about = Judged({.loss = 0.0045, .noise = 0.004});
  EXPECT_EQ(about.verdict, ObserverVerdict::kInconclusive) << about.reason;
}

TEST(ObserverEffect, AWideIntervalIsNeverAPass) {
  // Seemingly much faster, and its upper end below the limit: noise all the same.
  ObserverBlock same;
  same.fill(200);
  std::vector<ObserverBlock> blocks(kObserverLeastBlocks, same);
  for (std::size_t i = 0; i < blocks.size(); i += 2) blocks[i][2] = 240;
  const absl::StatusOr<ObserverEffect> effect = JudgeObserver(blocks, kLimitPct);
  ASSERT_TRUE(effect.ok());
  EXPECT_LE(effect->loss.high_pct, kLimitPct);
  EXPECT_EQ(effect->verdict, ObserverVerdict::kInconclusive) << effect->reason;
}

TEST(ObserverEffect, AControlThatShowsADifferenceOrTooFewBlocksAreNoPass) {
  const ObserverEffect biased = Judged({.noise = 0.001, .outer = 0.01});
  EXPECT_EQ(biased.verdict, ObserverVerdict::kInconclusive) << biased.reason;
  EXPECT_NEAR(biased.control.mean_pct, 1, 0.1);
  EXPECT_LE(biased.loss.high_pct, kLimitPct);
  // One that is small beside the limit does not matter.
  const ObserverEffect hardly = Judged({.noise = 0.001, .outer = 0.002});
  EXPECT_EQ(hardly.verdict, ObserverVerdict::kPass) << hardly.reason;
  EXPECT_GT(hardly.control.low_pct, 0);
  const ObserverEffect few = Judged({.blocks = kObserverLeastBlocks - 1});
  EXPECT_EQ(few.method, "student_t");
  EXPECT_EQ(few.verdict, ObserverVerdict::kInconclusive);
}

TEST(ObserverEffect, TheIntervalHoldsTheTruthAboutAsOftenAsItSays) {
  int held = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const absl::StatusOr<ObserverEffect> effect =
        JudgeObserver(Make({.loss = 0.01, .noise = 0.01, .blocks = 20}, seed), kLimitPct, seed);
    ASSERT_TRUE(effect.ok());
    if (effect->loss.low_pct <= 1 && 1 <= effect->loss.high_pct) ++held;
  }
  // 95 % of 200, within about three standard deviations.
  EXPECT_GE(held, 180);
}

TEST(ObserverEffect, WhatIsNoSpeedIsRefused) {
  EXPECT_FALSE(JudgeObserver(Make({.blocks = 2}), kLimitPct).ok());
  std::vector<ObserverBlock> blocks = Make({});
  blocks[3][4] = 0;
  EXPECT_FALSE(JudgeObserver(blocks, kLimitPct).ok());
}

}  // namespace
}  // namespace joulefarm::bench
