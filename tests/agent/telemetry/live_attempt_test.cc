#include "agent/run/live_attempt.h"

#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

LiveReading Watts(double watts) {
  LiveReading reading;
  reading.power_w = watts;
  return reading;
}

TEST(LiveAttempt, ShowsTheReadingsOfTheAttemptThatRunsOnly) {
  LiveAttempt live;
  EXPECT_FALSE(live.Read().has_value());
  {
    const LiveAttempt::Offer offer(&live, 5, [] { return Watts(12); });
    const auto now = live.Read();
    ASSERT_TRUE(now.has_value());
    EXPECT_EQ(now->fence, 5);
    EXPECT_EQ(now->reading.power_w, 12);
    EXPECT_FALSE(now->tokens_per_s.has_value());
    live.Speed(400);
    EXPECT_EQ(live.Read()->tokens_per_s, 400);
  }
  EXPECT_FALSE(live.Read().has_value());
  const LiveAttempt::Offer next(&live, 6, [] { return Watts(13); });
  EXPECT_FALSE(live.Read()->tokens_per_s.has_value());  // of the attempt before
}

}  // namespace
}  // namespace joulefarm::agent
