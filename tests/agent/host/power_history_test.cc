#include "agent/host/power_history.h"

#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;

v1::ChannelInfo Counter(std::int64_t refresh_ns) {
  v1::ChannelInfo channel;
  channel.set_quantity(v1::QUANTITY_ENERGY_COUNTER_J);
  channel.set_scale(1e-6);
  channel.set_refresh_ns(refresh_ns);
  channel.set_wrap_raw(1'000'000'000);
  return channel;
}

TEST(PowerHistory, SamplesAreKeptForAMinuteAndAveragedOverASecond) {
  v1::ChannelInfo channel;
  channel.set_quantity(v1::QUANTITY_POWER_W);
  channel.set_scale(1e-3);
  channel.set_nominal_hz(10);
  channel.set_refresh_ns(kSecond);  // an average: no reason to look further back
  PowerHistory history(channel);
  EXPECT_FALSE(history.MeanBefore(0));
  for (int i = 0; i <= 900; ++i) history.Add(i * 100 * kMs, i * 1'000);
  const std::int64_t now_ns = 90 * kSecond;
  const std::vector<PowerPoint> points = history.Since(0);
  EXPECT_EQ(points.front().t_ns, 30 * kSecond);
  EXPECT_EQ(points.back().t_ns, now_ns);
  EXPECT_EQ(points.back().power_w, 900);
  EXPECT_EQ(history.Since(now_ns - kSecond).size(), 11U);
  EXPECT_DOUBLE_EQ(*history.MeanBefore(now_ns), 895);
  EXPECT_FALSE(history.MeanBefore(now_ns + 5 * kSecond)) << "too old to be just now";
}

TEST(PowerHistory, ASlowChannelIsStillThereAtItsNextSample) {
  v1::ChannelInfo channel;
  channel.set_quantity(v1::QUANTITY_POWER_W);
  channel.set_scale(1);
  channel.set_nominal_hz(0.1);
  PowerHistory history(channel);
  history.Add(0, 7);
  EXPECT_EQ(history.MeanBefore(15 * kSecond), 7);
}

TEST(PowerHistory, ACountersPointsAreMeansOverTenRefreshes) {
  PowerHistory history(Counter(20 * kMs));
  // 5 W, read every 50 ms.
  for (int i = 0; i <= 20; ++i) history.Add(i * 50 * kMs, i * 250'000);
  const std::vector<PowerPoint> points = history.Since(0);
  ASSERT_EQ(points.size(), 5U);
  EXPECT_EQ(points[0].t_ns, 100 * kMs);
  EXPECT_DOUBLE_EQ(points[0].power_w, 5);
  EXPECT_DOUBLE_EQ(*history.MeanBefore(kSecond), 5);
}

TEST(PowerHistory, WrapsAreUndoneAndResetsSayNothing) {
  PowerHistory wraps(Counter(0));
  wraps.Add(0, 999'900'000);
  wraps.Add(kSecond, 400'000);
  ASSERT_EQ(wraps.Since(0).size(), 1U);
  EXPECT_DOUBLE_EQ(wraps.Since(0)[0].power_w, 0.5);

  v1::ChannelInfo channel = Counter(0);
  channel.clear_wrap_raw();
  PowerHistory resets(channel);
  resets.Add(0, 1'000'000);
  resets.Add(kSecond, 0);
  EXPECT_TRUE(resets.Since(0).empty());
  resets.Add(2 * kSecond, 3'000'000);
  ASSERT_EQ(resets.Since(0).size(), 1U);
  EXPECT_DOUBLE_EQ(resets.Since(0)[0].power_w, 3);
}

}  // namespace
}  // namespace joulefarm::agent
