#include "common/clock/host_join.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/common/clock/simulated_link.h"

namespace joulefarm {
namespace {

HostClock Recorded(const SimulatedLink& link) { return {link.snapshots(), link.exchanges()}; }

LinkModel Source() {
  LinkModel model;
  model.there_ms = 3;
  model.uniform_ms = 5;
  model.spike_share = 0.01;
  model.spike_ms = 100;
  return model;
}

// Its own clock began elsewhere; the controller's times are the same as the source's.
LinkModel Device() {
  LinkModel model;
  model.back_ms = 2;
  model.start_s = 50'000;
  model.offset_s = 1000 + 54'321 - 50'000;
  return model;
}

TEST(HostJoinTest, TheTrueInstantIsInsideTheBound) {
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    const SimulatedLink source(Source(), seed);
    const SimulatedLink device(Device(), seed + 1'000'000);
    const HostOffsets source_offsets(Recorded(source));
    const HostOffsets device_offsets(Recorded(device));
    for (std::int64_t t = source.start_ns(); t <= source.end_ns(); t += 777'777'777) {
      const auto joined = Join(source_offsets, device_offsets, t);
      ASSERT_TRUE(joined.has_value()) << "seed " << seed;
      const double truth = device.OwnTime(static_cast<double>(t) + source.TrueOffset(t));
      const auto bound = static_cast<double>(joined->source_bound_ns + joined->device_bound_ns);
      EXPECT_LE(std::abs(static_cast<double>(joined->t_ns) - truth), bound)
          << "seed " << seed << " at " << t;
      EXPECT_LT(bound, 20e6);
    }
  }
}

TEST(HostJoinTest, StampsOfDifferentBootsHaveNothingToDoWithEachOther) {
  LinkModel other = Device();
  other.boot_id = "another boot";
  const HostOffsets source(Recorded(SimulatedLink(Source(), 1)));
  const HostOffsets device(Recorded(SimulatedLink(other, 2)));
  EXPECT_EQ(Join(source, device, 1'010'000'000'000), std::nullopt);
}

TEST(HostJoinTest, ABootThatBothKnowIsEnough) {
  LinkModel elsewhere = Device();
  elsewhere.boot_id = "another boot";
  elsewhere.offset_s += 12'345;
  HostClock clock = Recorded(SimulatedLink(elsewhere, 2));
  const SimulatedLink device(Device(), 3);
  clock.exchanges.insert(clock.exchanges.end(), device.exchanges().begin(),
                         device.exchanges().end());
  const SimulatedLink source(Source(), 1);
  const std::int64_t t = source.start_ns() + 10'000'000'000;
  const auto joined = Join(HostOffsets(Recorded(source)), HostOffsets(clock), t);
  ASSERT_TRUE(joined.has_value());
  const double truth = device.OwnTime(static_cast<double>(t) + source.TrueOffset(t));
  EXPECT_NEAR(static_cast<double>(joined->t_ns), truth,
              static_cast<double>(joined->source_bound_ns + joined->device_bound_ns));
}

TEST(HostJoinTest, NothingAcrossTheDevicesSleep) {
  LinkModel sleepy = Device();
  sleepy.suspends = 1;
  const SimulatedLink source(Source(), 1);
  const SimulatedLink device(sleepy, 5);
  const HostOffsets source_offsets(Recorded(source));
  const HostOffsets device_offsets(Recorded(device));
  ASSERT_EQ(device_offsets.segments().count(), 2);
  const Interval asleep = device_offsets.segments().breaks()[0];
  int before = 0;
  int after = 0;
  int none = 0;
  for (std::int64_t t = source.start_ns(); t <= source.end_ns(); t += 100'000'000) {
    const auto joined = Join(source_offsets, device_offsets, t);
    if (!joined) {
      ++none;
      continue;
    }
    EXPECT_TRUE(joined->t_ns <= asleep.start_ns || joined->t_ns >= asleep.end_ns);
    EXPECT_EQ(joined->device_segment, joined->t_ns <= asleep.start_ns ? 0 : 1);
    ++(joined->device_segment == 0 ? before : after);
  }
  EXPECT_GT(before, 0);
  EXPECT_GT(after, 0);
  EXPECT_GT(none, 0);
}

// Its clock gains 600 us somewhere in the fourth gap between bursts: 300 ppm of those 2 s.
TEST(HostJoinTest, NothingAcrossASlewOfTheControllersClock) {
  const SimulatedLink link(Source(), 1);
  HostClock clock = Recorded(link);
  const auto slewed_ns = static_cast<std::int64_t>(link.start_ns() + 7e9);
  std::int64_t before_ns = 0;
  std::int64_t after_ns = 0;
  for (v1::ClockExchange& exchange : clock.exchanges) {
    if (exchange.t1_ns() < slewed_ns) {
      before_ns = exchange.t4_ns();
      continue;
    }
    if (after_ns == 0) after_ns = exchange.t4_ns();
    exchange.set_t2_ns(exchange.t2_ns() + 600'000);
    exchange.set_t3_ns(exchange.t3_ns() + 600'000);
  }
  const HostOffsets offsets(clock);
  EXPECT_EQ(offsets.violation(), std::nullopt);
  ASSERT_EQ(offsets.segments().count(), 2);
  EXPECT_GE(offsets.segments().breaks()[0].end_ns, after_ns);
  EXPECT_LT(offsets.segments().breaks()[0].start_ns, before_ns);
  const FeasibleOffset& offset = offsets.by_peer().begin()->second;
  EXPECT_EQ(offset.At(slewed_ns), std::nullopt);
  for (std::int64_t t = link.start_ns(); t <= link.end_ns(); t += 100'000'000) {
    const auto at = offset.At(t);
    if (!at) continue;
    const double truth = link.TrueOffset(t) + (t > slewed_ns ? 600e3 : 0);
    EXPECT_LE(std::abs(static_cast<double>(at->offset_ns) - truth),
              static_cast<double>(at->bound_ns));
  }
  // Who does not say how its crystal ran is taken at its word.
  for (v1::ClockExchange& exchange : clock.exchanges) exchange.clear_peer_raw_ns();
  EXPECT_EQ(HostOffsets(clock).segments().count(), 1);
}

TEST(HostJoinTest, TheWorstContradictionIsTold) {
  LinkModel racing = Source();
  racing.fixed_rate = 5 * kMostPeerRate;
  const HostOffsets offsets(Recorded(SimulatedLink(racing, 1)));
  ASSERT_TRUE(offsets.violation().has_value());
  EXPECT_GT(offsets.violation()->by_ns, 1e6);
  EXPECT_EQ(HostOffsets(Recorded(SimulatedLink(Source(), 1))).violation(), std::nullopt);
}

}  // namespace
}  // namespace joulefarm
