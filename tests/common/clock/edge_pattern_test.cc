#include "common/clock/edge_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace joulefarm {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kMs = 1'000'000;

std::vector<Interval> Busy() {
  std::vector<Interval> busy;
  for (int i = 0; i < kPatternTimes; ++i) {
    const std::int64_t start = 1'000 * kMs + 2 * i * kPatternNs;
    busy.push_back({start, start + kPatternNs});
  }
  return busy;
}

struct Trace {
  std::vector<std::int64_t> t_ns;
  std::vector<double> power_w;
};

Trace Measured(double hz, double latency_ms, double step_w, double noise_w, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise(0, 1);
  const double phase = std::uniform_real_distribution<double>(0, 1)(random);
  const std::vector<Interval> busy = Busy();
  Trace trace;
  for (int i = 0; i < static_cast<int>(4 * hz); ++i) {
    const double t = (i + phase) / hz * 1e9;
    const double load = t - latency_ms * 1e6;
    double watts = 3;
    for (const Interval& one : busy) {
      if (load >= static_cast<double>(one.start_ns) && load < static_cast<double>(one.end_ns))
        watts += step_w;
    }
    trace.t_ns.push_back(std::llround(t));
    trace.power_w.push_back(watts + noise_w * noise(random));
  }
  return trace;
}

TEST(EdgePatternTest, TheLatencyIsWithinItsUncertainty) {
  int within = 0;
  constexpr int kTrials = 1000;
  for (std::uint64_t seed = 0; seed < kTrials; ++seed) {
    std::mt19937_64 random(seed + 1'000'000);
    const double hz = std::vector<double>{20, 50, 100, 1000}[seed % 4];
    const double latency_ms = std::uniform_real_distribution<double>(-50, 150)(random);
    const Trace trace = Measured(hz, latency_ms, 2, 0.05, seed);
    const auto fit = FitPattern(trace.t_ns, trace.power_w, Busy(), 200 * kMs);
    ASSERT_TRUE(fit.ok()) << fit.status();
    EXPECT_NEAR(fit->step_w, 2, 0.3);
    EXPECT_LE(fit->u_ns, 1e9 / hz / 2);
    if (std::abs(fit->latency_ns - latency_ms * 1e6) <= 3 * fit->u_ns) ++within;
  }
  EXPECT_GE(within, kTrials * 99 / 100);
}

TEST(EdgePatternTest, ALoadThatDoesNotShowIsRefused) {
  const Trace trace = Measured(1000, 0, 0, 0.05, 1);
  const auto fit = FitPattern(trace.t_ns, trace.power_w, Busy(), 100 * kMs);
  EXPECT_THAT(fit.status().ToString(), HasSubstr("does not show"));
}

TEST(EdgePatternTest, ALatencyBeyondTheRangeIsRefused) {
  const Trace trace = Measured(1000, 60, 2, 0.05, 1);
  const auto fit = FitPattern(trace.t_ns, trace.power_w, Busy(), 50 * kMs);
  EXPECT_THAT(fit.status().ToString(), HasSubstr("beyond 50 ms"));
}

TEST(EdgePatternTest, TooFewSamplesAreRefused) {
  const Trace slow = Measured(10, 0, 2, 0, 1);
  EXPECT_THAT(FitPattern(slow.t_ns, slow.power_w, Busy(), 100 * kMs).status().ToString(),
              HasSubstr("too few"));
  const Trace fast = Measured(1000, 0, 2, 0, 1);
  EXPECT_THAT(FitPattern(fast.t_ns, fast.power_w, Busy(), 2'000 * kMs).status().ToString(),
              HasSubstr("far enough"));
  EXPECT_FALSE(FitPattern({}, {}, Busy(), kMs).ok());
  EXPECT_FALSE(FitPattern(fast.t_ns, fast.power_w, {}, kMs).ok());
}

TEST(EdgePatternTest, AlignmentIsJudgedByBoundAndUncertainty) {
  const PatternFit fit{.latency_ns = 12e6, .u_ns = 1e6, .correlation = 1, .step_w = 2};
  EXPECT_EQ(CheckAlignment(fit, 10 * kMs, 0), "");
  EXPECT_EQ(CheckAlignment(fit, 0, 10 * kMs), "");
  EXPECT_EQ(CheckAlignment(fit, 0, 9 * kMs), "");
  EXPECT_EQ(CheckAlignment(fit, 0, kMs), "12 ms>4 ms");
}

}  // namespace
}  // namespace joulefarm
