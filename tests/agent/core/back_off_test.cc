#include "agent/core/back_off.h"

#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

TEST(BackOffTest, CeilingDoublesUpToFifteenSeconds) {
  BackOff back_off;
  for (const std::int64_t seconds : {1, 2, 4, 8, 15, 15, 15}) {
    EXPECT_EQ(back_off.NextNs(1.0), seconds * kSecond);
  }
}

TEST(BackOffTest, NeverShorterThanTheFloorAndSpreadByTheRandomNumber) {
  BackOff back_off;
  for (int i = 0; i < 50; ++i) EXPECT_EQ(back_off.NextNs(0.0), BackOff::kMinNs);
  EXPECT_EQ(back_off.NextNs(0.5), (BackOff::kMinNs + BackOff::kMaxNs) / 2);
  EXPECT_EQ(back_off.NextNs(7.0), BackOff::kMaxNs);
}

TEST(BackOffTest, ResetBeginsAnew) {
  BackOff back_off;
  for (int i = 0; i < 5; ++i) back_off.NextNs(1.0);
  back_off.Reset();
  EXPECT_EQ(back_off.NextNs(1.0), kSecond);
}

TEST(ReminderTest, SaysOnceThenAtGrowingIntervals) {
  Reminder reminder;
  int said = 0;
  std::int64_t last = 0;
  std::int64_t gap = 0;
  for (std::int64_t t = 0; t <= 3600; ++t) {
    if (!reminder.Due(t * kSecond)) continue;
    if (said > 0) {
      EXPECT_GE(t - last, gap);
      gap = t - last;
    }
    last = t;
    ++said;
  }
  EXPECT_EQ(gap, 600);
  EXPECT_EQ(said, 11);  // 0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030
}

TEST(ReminderTest, OverTellsWhetherAnythingWasSaid) {
  Reminder reminder;
  EXPECT_FALSE(reminder.Over());
  EXPECT_TRUE(reminder.Due(5));
  EXPECT_FALSE(reminder.Due(6));
  EXPECT_TRUE(reminder.Over());
  EXPECT_FALSE(reminder.Over());
  EXPECT_TRUE(reminder.Due(7));
}

}  // namespace
}  // namespace joulefarm::agent
