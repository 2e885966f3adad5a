#include "agent/power/simulated.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;

class SimulatedPowerTest : public testing::Test {
 protected:
  void Begin(const SimulatedSettings& settings) {
    source_ = std::make_unique<SimulatedPower>(host_.paths(), settings, [this] { return now_ns_; });
    ASSERT_TRUE(source_->Start().ok());
  }
  std::vector<PowerReading> PollAt(std::int64_t since_start_ns) {
    now_ns_ = kStartNs + since_start_ns;
    std::vector<PowerReading> readings;
    EXPECT_TRUE(source_->Poll(readings, lost_).ok());
    return readings;
  }
  static double Watts(const PowerReading& reading) {
    return static_cast<double>(reading.raw) * 1e-6;
  }
  // Core-seconds of one core.
  void SetProcessors(double busy, double idle) {
    const double ticks = ProcTicksPerSecond();
    host_.Write("proc/stat",
                absl::StrCat("cpu  ", static_cast<std::int64_t>(busy * ticks), " 0 0 ",
                             static_cast<std::int64_t>(idle * ticks), " 0 0 0 0 0 0\ncpu0 0\n"));
  }

  static constexpr std::int64_t kStartNs = 77 * kSecond + 123;
  HostTree host_;
  std::int64_t now_ns_ = kStartNs;
  std::int64_t lost_ = 0;
  std::unique_ptr<SimulatedPower> source_;
};

TEST_F(SimulatedPowerTest, SaysWhatItIs) {
  Begin({.watts = 7, .rate_hz = 5'000});
  const v1::ChannelInfo& channel = source_->channels().at(0);
  EXPECT_EQ(channel.name(), "simulated");
  EXPECT_EQ(channel.provenance(), v1::PROVENANCE_SIMULATED);
  EXPECT_EQ(channel.quantity(), v1::QUANTITY_POWER_W);
  EXPECT_EQ(channel.scope(), v1::SCOPE_DEVICE);
  EXPECT_EQ(channel.nominal_hz(), 5'000);
  EXPECT_THAT(channel.description(), HasSubstr("nothing is measured: 7 W"));
  EXPECT_TRUE(source_->buffered()) << "handed out in batches";
}

TEST_F(SimulatedPowerTest, EverySampleOnceWhateverTheBatches) {
  Begin({.watts = 7, .rate_hz = 5'000});
  std::vector<PowerReading> all;
  for (std::int64_t t_ns = 0; t_ns <= kSecond; t_ns += 33 * kMs + 7'777) {
    for (const PowerReading& reading : PollAt(t_ns)) all.push_back(reading);
  }
  for (const PowerReading& reading : PollAt(kSecond)) all.push_back(reading);
  ASSERT_THAT(all, SizeIs(5'001));
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i].t_ns, kStartNs + static_cast<std::int64_t>(i) * 200'000);
    ASSERT_EQ(all[i].raw, 7'000'000);
  }
  EXPECT_EQ(lost_, 0);
  EXPECT_EQ(source_->Made(), 5'001);
  EXPECT_THAT(PollAt(kSecond), IsEmpty()) << "no time has gone by";
}

TEST_F(SimulatedPowerTest, ARateThatIsNoWholePeriodDoesNotDrift) {
  Begin({.watts = 1, .rate_hz = 3'000});
  std::int64_t n = 0;
  for (int i = 0; i <= 600; ++i)
    n += static_cast<std::int64_t>(PollAt(static_cast<std::int64_t>(i) * kSecond).size());
  EXPECT_EQ(n, 600 * 3'000 + 1);
}

TEST_F(SimulatedPowerTest, ASquareWave) {
  Begin({.watts = 2, .busy_watts = 10, .period_ns = kSecond, .rate_hz = 1'000});
  double joules = 0;
  for (const PowerReading& reading : PollAt(3 * kSecond - kMs)) {
    const std::int64_t into_ns = (reading.t_ns - kStartNs) % kSecond;
    ASSERT_EQ(Watts(reading), into_ns < kSecond / 2 ? 2 : 10);
    joules += Watts(reading) * 1e-3;
  }
  EXPECT_NEAR(joules, 3 * 6, 1e-9);
}

TEST_F(SimulatedPowerTest, FollowsTheProcessors) {
  SetProcessors(100, 100);
  Begin({.watts = 2, .busy_watts = 10, .rate_hz = 100});
  SetProcessors(100.5, 100.5);
  for (const PowerReading& reading : PollAt(kSecond)) EXPECT_NEAR(Watts(reading), 6, 1e-6);
  SetProcessors(101.5, 100.5);
  for (const PowerReading& reading : PollAt(2 * kSecond)) EXPECT_NEAR(Watts(reading), 10, 1e-6);
  for (const PowerReading& reading : PollAt(3 * kSecond))
    EXPECT_NEAR(Watts(reading), 10, 1e-6) << "no tick since: as it was";
}

TEST_F(SimulatedPowerTest, WithoutProcessorsToFollowItSaysSo) {
  SimulatedPower source(host_.paths(), {.watts = 2, .busy_watts = 10});
  EXPECT_TRUE(absl::IsUnavailable(source.Start()));
}

TEST_F(SimulatedPowerTest, WhatABufferCannotHoldIsLostAndCounted) {
  Begin({.watts = 7, .rate_hz = 1'000});
  EXPECT_THAT(PollAt(60 * kSecond), SizeIs(10'000));
  EXPECT_EQ(lost_, 50'001);
  EXPECT_EQ(source_->Made(), 60'001) << "handed out or lost";
  EXPECT_THAT(PollAt(61 * kSecond), SizeIs(1'000));
}

TEST_F(SimulatedPowerTest, WhatItCannotBeIsRefused) {
  const auto refused = [](const SimulatedSettings& settings) {
    return std::string(CheckSimulated(settings).message());
  };
  EXPECT_THAT(refused({.watts = -1}), HasSubstr("watts"));
  EXPECT_THAT(refused({.watts = std::nan("")}), HasSubstr("watts"));
  EXPECT_THAT(refused({.watts = 1, .busy_watts = 1e9}), HasSubstr("watts"));
  EXPECT_THAT(refused({.watts = 1, .rate_hz = 0}), HasSubstr("rate"));
  EXPECT_THAT(refused({.watts = 1, .rate_hz = 5'001}), HasSubstr("rate"));
  EXPECT_THAT(refused({.watts = 1, .period_ns = kSecond}), HasSubstr("busy_watts"));
  EXPECT_THAT(refused({.watts = 1, .busy_watts = 2, .period_ns = kMs}), HasSubstr("two samples"));
  EXPECT_EQ(refused({.watts = 1, .busy_watts = 2, .period_ns = 2 * kMs}), "");
  SimulatedPower source(host_.paths(), {.watts = -1});
  EXPECT_TRUE(absl::IsInvalidArgument(source.Start()));
}

}  // namespace
}  // namespace joulefarm::agent
