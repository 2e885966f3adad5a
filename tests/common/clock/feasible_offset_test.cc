#include "common/clock/feasible_offset.h"

#include <gtest/gtest.h>

#include <limits>

namespace joulefarm {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;
constexpr std::int64_t kOffset = 77 * kSecond;

// Sent at t, there after `there`, answered at once, here after `back`.
v1::ClockExchange Exchange(std::int64_t t, std::int64_t there, std::int64_t back,
                           std::int64_t offset = kOffset) {
  v1::ClockExchange exchange;
  exchange.set_t1_ns(t);
  exchange.set_t2_ns(t + there + offset);
  exchange.set_t3_ns(t + there + offset);
  exchange.set_t4_ns(t + there + back);
  return exchange;
}

const ClockSegments kWhole;

TEST(FeasibleOffsetTest, OneExchangeLeavesItsDelays) {
  const std::vector<v1::ClockExchange> one{Exchange(0, 1 * kMs, 3 * kMs)};
  const FeasibleOffset offset(one, &kWhole, 0);
  const auto at = offset.At(0);
  ASSERT_TRUE(at.has_value());
  EXPECT_EQ(at->offset_ns, kOffset - 1 * kMs);  // the middle of [offset - 3 ms, offset + 1 ms]
  EXPECT_EQ(at->bound_ns, 2 * kMs + kClockResolutionNs);
}

TEST(FeasibleOffsetTest, TheBestOfEachDirectionCounts) {
  const std::vector<v1::ClockExchange> two{Exchange(0, 1 * kMs, 30 * kMs),
                                           Exchange(kSecond, 20 * kMs, 2 * kMs)};
  const FeasibleOffset offset(two, &kWhole, 0);
  EXPECT_EQ(offset.At(0)->bound_ns, 3 * kMs / 2 + kClockResolutionNs);
}

TEST(FeasibleOffsetTest, AgeWidensBothWays) {
  const std::vector<v1::ClockExchange> one{Exchange(0, 1 * kMs, 1 * kMs)};
  const FeasibleOffset offset(one, &kWhole, 100e-6);
  for (const std::int64_t t : {-100 * kSecond, 100 * kSecond}) {
    EXPECT_NEAR(static_cast<double>(offset.At(t)->bound_ns), 11e6, 2e3) << t;
  }
}

TEST(FeasibleOffsetTest, LaterExchangesCountToo) {
  const std::vector<v1::ClockExchange> two{Exchange(0, 9 * kMs, 9 * kMs),
                                           Exchange(10 * kSecond, 0, 0)};
  const FeasibleOffset offset(two, &kWhole, 100e-6);
  EXPECT_NEAR(static_cast<double>(offset.At(0)->bound_ns), 1e6, 2e3);
}

TEST(FeasibleOffsetTest, ContradictionsGiveNothing) {
  const std::vector<v1::ClockExchange> two{Exchange(0, 0, 0),
                                           Exchange(kSecond, 0, 0, kOffset + kMs)};
  const FeasibleOffset offset(two, &kWhole, 100e-6);
  EXPECT_EQ(offset.At(0), std::nullopt);
  ASSERT_EQ(offset.violations().size(), 1U);
  EXPECT_NEAR(offset.violations()[0].by_ns, 0.9e6, 1e3);
}

TEST(FeasibleOffsetTest, OneWayIsNoBound) {
  v1::ClockSnapshot a;
  v1::ClockSnapshot b;
  b.set_boottime_ns(2 * kSecond);  // slept in between
  b.set_monotonic_ns(kSecond);
  b.set_monotonic_raw_ns(kSecond);
  const ClockSegments segments({a, b});
  const std::vector<v1::ClockExchange> across{Exchange(0, kMs, 3 * kSecond)};
  const FeasibleOffset offset(across, &segments);
  EXPECT_EQ(offset.At(0), std::nullopt);
  EXPECT_EQ(offset.At(4 * kSecond), std::nullopt);
  EXPECT_TRUE(offset.violations().empty());
}

TEST(FeasibleOffsetTest, NothingWithoutAnExchange) {
  EXPECT_EQ(FeasibleOffset({}, &kWhole).At(0), std::nullopt);
}

TEST(FeasibleOffsetTest, StampsNoClockGivesAreLeftOut) {
  v1::ClockExchange absurd;
  absurd.set_t1_ns(std::numeric_limits<std::int64_t>::min());
  absurd.set_t2_ns(std::numeric_limits<std::int64_t>::max());
  const std::vector<v1::ClockExchange> both{absurd, Exchange(0, kMs, kMs)};
  EXPECT_EQ(FeasibleOffset(both, &kWhole, 0).At(0)->offset_ns, kOffset);
}

}  // namespace
}  // namespace joulefarm
