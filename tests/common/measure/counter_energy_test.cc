#include <cmath>
#include <limits>
#include <random>

#include "common/measure/energy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/measure/findings.h"

namespace joulefarm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;
using Column = std::vector<std::int64_t>;

Energy Of(const CounterTrace& trace, std::int64_t start_ns, std::int64_t end_ns) {
  const Interval part{start_ns, end_ns};
  return IntegrateCounter(trace, {&part, 1});
}

// 10 W in microjoules, read every 100 ms from 0 to 10 s; wraps at `wrap` if that is not 0.
CounterTrace TenWatts(std::int64_t wrap = 0, std::int64_t refresh_ns = 0) {
  Column t_ns;
  Column raw;
  for (std::int64_t t = 0; t <= 10 * kSecond; t += 100 * kMs) {
    const std::int64_t microjoules = 7'777 + t / kSecond * 10'000'000 + t % kSecond / 100;
    t_ns.push_back(t);
    raw.push_back(wrap == 0 ? microjoules : microjoules % wrap);
  }
  CounterTrace trace = MakeCounterTrace(
      t_ns, raw, 1e-6, wrap == 0 ? std::nullopt : std::optional<std::int64_t>(wrap), refresh_ns);
  trace.errors.gain_u = 0;
  return trace;
}

TEST(CounterEnergyTest, ConstantPowerBetweenReadings) {
  const Energy energy = Of(TenWatts(), 1'030 * kMs, 9'070 * kMs);
  EXPECT_NEAR(*energy.energy_j, 80.4, 1e-9);
  EXPECT_DOUBLE_EQ(energy.duration_s, 8.04);
  EXPECT_NEAR(*energy.mean_w, 10, 1e-9);
  EXPECT_FALSE(energy.peak_w);
  // Readings at 1.0, 1.1, 9.0 and 9.1 s.
  EXPECT_NEAR(*energy.lo_j, 79, 1e-9);
  EXPECT_NEAR(*energy.hi_j, 81, 1e-9);
  EXPECT_NEAR(*energy.parts.counter_j, std::sqrt(2 * 1.0 / 12), 1e-9);
  EXPECT_THAT(energy.findings, IsEmpty());
}

TEST(CounterEnergyTest, EdgesAtReadingsAreExactWithoutRefresh) {
  const Energy energy = Of(TenWatts(), kSecond, 9 * kSecond);
  EXPECT_NEAR(*energy.lo_j, 80, 1e-9);
  EXPECT_NEAR(*energy.hi_j, 80, 1e-9);
  EXPECT_NEAR(*energy.parts.counter_j, 0, 1e-9);
}

TEST(CounterEnergyTest, RefreshWidensTheBounds) {
  // A reading may be 150 ms old: the one that is wholly after 9.0 s was taken at 9.2 s.
  const Energy energy = Of(TenWatts(0, 150 * kMs), kSecond, 9 * kSecond);
  EXPECT_NEAR(*energy.lo_j, 90 - 12, 1e-9);
  EXPECT_NEAR(*energy.hi_j, 92 - 10, 1e-9);
}

TEST(CounterEnergyTest, WrapsAreUndone) {
  // Wraps every 1.5 s; the longest time between readings is a fifteenth of that.
  const Energy energy = Of(TenWatts(15'000'000), 250 * kMs, 9'850 * kMs);
  EXPECT_NEAR(*energy.energy_j, 96, 1e-9);
  EXPECT_THAT(energy.findings, IsEmpty());
}

TEST(CounterEnergyTest, SparseReadingsOfACounterThatWrapsAreInvalid) {
  // Wraps every 180 ms: a reading every 100 ms is more than half of that.
  const Energy energy = Of(TenWatts(1'800'000), 250 * kMs, 9'850 * kMs);
  EXPECT_FALSE(energy.energy_j);
  EXPECT_EQ(Detail(energy.findings, "counter_poll"), "55.6%>50%");
  EXPECT_EQ(Worst(energy.findings), v1::QUALITY_INVALID);
}

TEST(CounterEnergyTest, OnePollGapOfACounterThatWrapsIsInvalidWhereItLies) {
  Column t_ns;
  Column raw;
  for (std::int64_t t = 0; t <= 20 * kSecond; t += 100 * kMs) {
    if (t > 5 * kSecond && t < 8 * kSecond) continue;
    t_ns.push_back(t);
    raw.push_back(t / 100 % 40'000'000);  // 10 W, wraps every 4 s
  }
  CounterTrace trace = MakeCounterTrace(t_ns, raw, 1e-6, 40'000'000, 0);
  trace.errors.gain_u = 0;
  EXPECT_EQ(Detail(Of(trace, 4 * kSecond, 9 * kSecond).findings, "counter_poll"), "75%>50%");
  EXPECT_NEAR(*Of(trace, 10 * kSecond, 19 * kSecond).energy_j, 90, 1e-9);
}

TEST(CounterEnergyTest, ACounterThatRunsBackwardWasReset) {
  const Column t_ns{0, kSecond, 2 * kSecond, 3 * kSecond, 4 * kSecond};
  const Column raw{100, 200, 50, 150, 250};
  CounterTrace trace = MakeCounterTrace(t_ns, raw, 1, std::nullopt, 0);
  trace.errors.gain_u = 0;
  const Energy across = Of(trace, 500 * kMs, 3 * kSecond);
  EXPECT_FALSE(across.energy_j);
  EXPECT_EQ(Detail(across.findings, "counter_reset"), "1>0");
  EXPECT_NEAR(*Of(trace, 2 * kSecond, 4 * kSecond).energy_j, 200, 1e-9);
  // A reading above the wrap is no wrap either.
  EXPECT_EQ(MakeCounterTrace(t_ns, raw, 1, 150, 0).resets, (std::vector<std::size_t>{2}));
}

TEST(CounterEnergyTest, CoarseReadingsAreSuspect) {
  // 1 s of 10 W read every 100 ms: half the width of the bounds is 1 J of 10 J.
  const Energy energy = Of(TenWatts(), 1'050 * kMs, 2'050 * kMs);
  EXPECT_NEAR(*energy.energy_j, 10, 1e-9);
  EXPECT_EQ(Detail(energy.findings, "counter_coarse"), "10%>5%");
  EXPECT_EQ(Worst(energy.findings), v1::QUALITY_SUSPECT);
}

TEST(CounterEnergyTest, EdgesWithoutReadingsAroundThemGiveNoEnergy) {
  const CounterTrace trace = TenWatts(0, 150 * kMs);
  EXPECT_EQ(Covered(trace), (Interval{0, 9'850 * kMs}));
  EXPECT_FALSE(Of(trace, -1, kSecond).energy_j);
  const Energy late = Of(trace, kSecond, 9'900 * kMs);
  EXPECT_FALSE(late.energy_j);
  EXPECT_EQ(Detail(late.findings, "edge_uncovered"), "0.05 s>0");
  EXPECT_TRUE(Of(trace, 0, 9'850 * kMs).energy_j);
}

TEST(CounterEnergyTest, OneReadingIsNone) {
  const Energy energy = Of(MakeCounterTrace(Column{5}, Column{7}, 1, std::nullopt, 0), 0, 10);
  EXPECT_EQ(Detail(energy.findings, "no_samples"), "1<2");
}

TEST(CounterEnergyTest, RisesBeyondInt64DoNotOverflow) {
  const CounterTrace trace = MakeCounterTrace(
      Column{0, kSecond},
      Column{std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}, 1,
      std::nullopt, 0);
  EXPECT_NEAR(trace.energy_j[1] / std::pow(2.0, 64), 1, 1e-12);
}

TEST(CounterEnergyTest, UncertaintyByComponent) {
  CounterTrace trace = TenWatts();
  trace.errors = {0.5, 0.01, 0};
  const Energy energy = Of(trace, kSecond, 9 * kSecond);
  EXPECT_NEAR(*energy.parts.gain_j, 40, 1e-9);
  EXPECT_NEAR(*energy.parts.offset_j, 0.08, 1e-12);
  EXPECT_DOUBLE_EQ(*energy.parts.clock_j, 0);
  EXPECT_NEAR(*energy.energy_u_j, std::hypot(40, 0.08), 1e-9);
}

TEST(CounterEnergyTest, ClockBoundWidensBoundsAndUncertainty) {
  CounterTrace trace = TenWatts();
  trace.errors.clock_bound_ns = 20 * kMs;
  const Energy energy = Of(trace, 1'050 * kMs, 8'990 * kMs);
  EXPECT_NEAR(*energy.parts.clock_j, 0, 1e-9);
  // 8.99 s + 20 ms lies in the next interval: its reading is at 9.1 s.
  EXPECT_NEAR(*energy.hi_j, 91 - 10, 1e-9);
  EXPECT_NEAR(*energy.lo_j, 89 - 11, 1e-9);
  CounterTrace stepped =
      MakeCounterTrace(Column{0, kSecond, 2 * kSecond, 3 * kSecond, 4 * kSecond, 5 * kSecond},
                       Column{0, 1, 2, 12, 13, 14}, 1, std::nullopt, 0);
  stepped.errors.clock_bound_ns = 20 * kMs;
  // 10 W in the third second, else 1 W.
  EXPECT_GE(*Of(stepped, 2 * kSecond, 3 * kSecond).parts.clock_j, 0.02 * 2 * 9);
}

TEST(CounterEnergyTest, PhasesSumToTheWhole) {
  const CounterTrace trace = TenWatts(15'000'000, 10 * kMs);
  const std::vector<std::int64_t> cuts{100 * kMs, 333 * kMs, 1'234'567'891, 5 * kSecond,
                                       9'876'543'210};
  double sum = 0;
  for (std::size_t i = 1; i < cuts.size(); ++i) sum += *Of(trace, cuts[i - 1], cuts[i]).energy_j;
  EXPECT_NEAR(sum / *Of(trace, cuts.front(), cuts.back()).energy_j, 1, 1e-9);
}

// A counter that is refreshed at random instants and read at others, over a load that switches.
TEST(CounterEnergyTest, TruthIsAlwaysInsideTheHardBounds) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> uniform(0, 1);
  int in_three_u = 0;
  int trials = 0;
  for (int farm = 0; farm < 40; ++farm) {
    constexpr std::int64_t kStep = 100'000;  // the truth changes at multiples of 100 us
    std::vector<double> truth{0};
    double watts = 5;
    while (truth.size() < 40'000) {
      if (uniform(random) < 0.002) watts = 20 * uniform(random);
      truth.push_back(truth.back() + watts * 1e-4);
    }
    const auto at = [&](std::int64_t t) {
      const std::size_t i = static_cast<std::size_t>(t / kStep);
      return truth[i] + static_cast<double>(t % kStep) / kStep * (truth[i + 1] - truth[i]);
    };
    constexpr std::int64_t kRefresh = 10 * kMs;
    Column t_ns;
    Column raw;
    for (std::int64_t t = 0; t < 3'990 * kMs;
         t += 15 * kMs + static_cast<std::int64_t>(uniform(random) * 1e7)) {
      const std::int64_t shown =
          std::max<std::int64_t>(0, t - static_cast<std::int64_t>(uniform(random) * kRefresh));
      const std::int64_t value = std::llround(at(shown) * 1e9);
      t_ns.push_back(t);
      raw.push_back(raw.empty() ? value : std::max(raw.back(), value));
    }
    CounterTrace trace = MakeCounterTrace(t_ns, raw, 1e-9, std::nullopt, kRefresh);
    trace.errors.gain_u = 0;
    for (int trial = 0; trial < 50; ++trial) {
      const std::int64_t start = static_cast<std::int64_t>(uniform(random) * 2e9);
      const std::int64_t end =
          start + 200 * kMs + static_cast<std::int64_t>(uniform(random) * 1.5e9);
      const double exact = at(end) - at(start);
      const Energy energy = Of(trace, start, end);
      ASSERT_TRUE(energy.energy_j);
      EXPECT_LE(*energy.lo_j, exact + 1e-6);
      EXPECT_GE(*energy.hi_j, exact - 1e-6);
      EXPECT_LE(*energy.lo_j, *energy.energy_j);
      EXPECT_GE(*energy.hi_j, *energy.energy_j);
      ++trials;
      in_three_u += std::abs(*energy.energy_j - exact) <= 3 * *energy.energy_u_j ? 1 : 0;
    }
  }
  EXPECT_GE(in_three_u, trials * 99 / 100);
}

TEST(CounterEnergyTest, DuplicateStampsAreCounted) {
  const CounterTrace trace =
      MakeCounterTrace(Column{0, 10, 10, 5, 20}, Column{0, 1, 9, 9, 2}, 1, std::nullopt, 0);
  EXPECT_EQ(trace.duplicates, 2);
  EXPECT_THAT(trace.energy_j, ElementsAre(0, 1, 2));
  EXPECT_EQ(Detail(Of(trace, 0, 20).findings, "duplicate_stamps"), "40%>1%");
}

}  // namespace
}  // namespace joulefarm
