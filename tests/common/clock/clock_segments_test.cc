#include "common/clock/clock_segments.h"

#include <gtest/gtest.h>

namespace joulefarm {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

v1::ClockSnapshot At(std::int64_t boot_ns, std::int64_t monotonic_ns, std::int64_t raw_ns) {
  v1::ClockSnapshot snapshot;
  snapshot.set_boottime_ns(boot_ns);
  snapshot.set_monotonic_ns(monotonic_ns);
  snapshot.set_monotonic_raw_ns(raw_ns);
  return snapshot;
}

v1::ClockSnapshot Even(std::int64_t t_ns) { return At(t_ns, t_ns, t_ns); }

TEST(ClockSegmentsTest, WithoutASnapshotAllIsOneSegment) {
  EXPECT_EQ(ClockSegments().Of(5), 0);
  EXPECT_EQ(ClockSegments().count(), 1);
}

TEST(ClockSegmentsTest, ASleepSplits) {
  const std::int64_t nap = 3 * kSecond;
  const ClockSegments segments({Even(0), Even(5 * kSecond),
                                At(10 * kSecond + nap, 10 * kSecond, 10 * kSecond),
                                At(15 * kSecond + nap, 15 * kSecond, 15 * kSecond)});
  EXPECT_EQ(segments.count(), 2);
  EXPECT_EQ(segments.Of(-kSecond), 0);
  EXPECT_EQ(segments.Of(5 * kSecond), 0);
  EXPECT_EQ(segments.Of(7 * kSecond), std::nullopt);
  EXPECT_EQ(segments.Of(10 * kSecond + nap), 1);
  EXPECT_EQ(segments.Of(99 * kSecond), 1);
}

TEST(ClockSegmentsTest, ASlewFasterThanRhoSplits) {
  const auto slewed = [](double rate) {
    const auto raw = static_cast<std::int64_t>(5e9 * (1 + rate));
    return ClockSegments({Even(0), At(5 * kSecond, 5 * kSecond, raw)}).count();
  };
  EXPECT_EQ(slewed(0.9 * kMostRate), 1);
  EXPECT_EQ(slewed(-0.9 * kMostRate), 1);
  EXPECT_EQ(slewed(1.2 * kMostRate), 2);
  EXPECT_EQ(slewed(-1.2 * kMostRate), 2);
}

TEST(ClockSegmentsTest, ReadingTheClocksAtDifferentInstantsSplitsNothing) {
  // 30 us over 1 ms are 3 %.
  EXPECT_EQ(ClockSegments({Even(0), At(1'000'000, 1'000'000, 1'030'000)}).count(), 1);
}

TEST(ClockSegmentsTest, OrderDoesNotMatter) {
  const auto late = At(10 * kSecond, 8 * kSecond, 8 * kSecond);
  EXPECT_EQ(ClockSegments({late, Even(5 * kSecond), Even(0)}).breaks(),
            (std::vector<Interval>{{5 * kSecond, 10 * kSecond}}));
}

TEST(ClockSegmentsTest, FurtherBreaksAreJoinedWhereTheyOverlap) {
  ClockSegments segments({Even(0), At(10 * kSecond, 8 * kSecond, 8 * kSecond)});
  segments.Break(
      {{30 * kSecond, 40 * kSecond}, {9 * kSecond, 12 * kSecond}, {12 * kSecond, 13 * kSecond}});
  EXPECT_EQ(segments.breaks(),
            (std::vector<Interval>{
                {0, 12 * kSecond}, {12 * kSecond, 13 * kSecond}, {30 * kSecond, 40 * kSecond}}));
  EXPECT_EQ(segments.Of(12 * kSecond), 1);
  EXPECT_EQ(segments.Of(20 * kSecond), 2);
  EXPECT_EQ(segments.Of(35 * kSecond), std::nullopt);
}

}  // namespace
}  // namespace joulefarm
