#include "agent/power/estimated.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/host/cpu_times.h"
#include "agent/process/boottime.h"
#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

class EstimatedPowerTest : public testing::Test {
 protected:
  EstimatedPowerTest() { SetBusy(0); }
  // Core-seconds since boot, of two cores.
  void SetBusy(double seconds) {
    host_.Write("proc/stat",
                absl::StrCat("cpu  ", static_cast<std::int64_t>(seconds * ProcTicksPerSecond()),
                             " 0 0 1000 0 0 0 0 0 0\ncpu0 0\ncpu1 0\nintr 0\n"));
  }
  // Joules at the reading, and what idling alone would have taken until then.
  static double Joules(const PowerReading& reading) {
    return static_cast<double>(reading.raw) * 1e-6;
  }

  HostTree host_;
};

TEST_F(EstimatedPowerTest, IsLabelledAsAGuessUntilConfigured) {
  const EstimatedPower guess(host_.paths(), EstimateSettings{});
  EXPECT_EQ(guess.idle_w(), 5);
  EXPECT_EQ(guess.peak_w(), 25);
  ASSERT_EQ(guess.channels().size(), 1U);
  const v1::ChannelInfo& channel = guess.channels()[0];
  EXPECT_EQ(channel.name(), "estimated");
  EXPECT_EQ(channel.quantity(), v1::QUANTITY_ENERGY_COUNTER_J);
  EXPECT_EQ(channel.scale(), 1e-6);
  EXPECT_EQ(channel.scope(), v1::SCOPE_DEVICE);
  EXPECT_EQ(channel.provenance(), v1::PROVENANCE_ESTIMATED);
  EXPECT_EQ(channel.gain_u(), 0.5);
  EXPECT_EQ(channel.refresh_ns(), 10'000'000);
  EXPECT_EQ(channel.nominal_hz(), 50);
  EXPECT_THAT(channel.description(), HasSubstr("not measured"));
  EXPECT_THAT(channel.description(), HasSubstr("5 W idle (a guess)"));
  EXPECT_THAT(channel.description(), EndsWith("(a guess); set estimated_power in the agent's "
                                              "configuration"));
  EstimateSettings settings;
  settings.idle_w = 2;
  settings.peak_w = 12;
  settings.relative_u = 0.1;
  const EstimatedPower configured(host_.paths(), settings);
  EXPECT_EQ(configured.peak_w(), 12);
  EXPECT_EQ(configured.channels()[0].gain_u(), 0.1);
  EXPECT_THAT(configured.channels()[0].description(), EndsWith("12 W at full load (configured)"));
  settings.peak_w.reset();
  EXPECT_THAT(EstimatedPower(host_.paths(), settings).channels()[0].description(),
              AllOf(HasSubstr("2 W idle (configured)"), HasSubstr("; set estimated_power")));
}

TEST_F(EstimatedPowerTest, CountsIdleTimeAndBusyCores) {
  SetBusy(100);
  EstimateSettings settings;
  settings.idle_w = 2;
  settings.peak_w = 12;
  EstimatedPower power(host_.paths(), settings);
  const std::int64_t before_ns = BoottimeNs();
  ASSERT_TRUE(power.Start().ok());
  const std::int64_t started_ns = BoottimeNs();
  std::vector<PowerReading> readings;
  std::int64_t lost = 0;
  SetBusy(103);
  ASSERT_TRUE(power.Poll(readings, lost).ok());
  ASSERT_EQ(readings.size(), 1U);
  // 3 core-seconds of 2 cores: 1.5 s of the machine at 10 W above idle; and 2 W since some time
  // between the two stamps.
  const double busy_j = 15;
  const auto idle_j = [&](std::int64_t start_ns) {
    return 2 * static_cast<double>(readings[0].t_ns - start_ns) * 1e-9;
  };
  EXPECT_GE(Joules(readings[0]), busy_j + idle_j(started_ns) - 1e-6);
  EXPECT_LE(Joules(readings[0]), busy_j + idle_j(before_ns) + 1e-6);
  EXPECT_EQ(lost, 0);
}

TEST_F(EstimatedPowerTest, NeverRunsBackward) {
  SetBusy(100);
  EstimatedPower power(host_.paths(), EstimateSettings{});
  ASSERT_TRUE(power.Start().ok());
  std::vector<PowerReading> readings;
  std::int64_t lost = 0;
  SetBusy(150);
  ASSERT_TRUE(power.Poll(readings, lost).ok());
  SetBusy(90);
  ASSERT_TRUE(power.Poll(readings, lost).ok());
  EXPECT_GE(readings[1].raw, readings[0].raw);
}

TEST_F(EstimatedPowerTest, WhatCannotBeReadIsLostNotZero) {
  EstimatedPower power(host_.paths(), EstimateSettings{});
  ASSERT_TRUE(power.Start().ok());
  host_.Remove("proc/stat");
  std::vector<PowerReading> readings;
  std::int64_t lost = 0;
  EXPECT_FALSE(power.Poll(readings, lost).ok());
  EXPECT_TRUE(readings.empty());
  EXPECT_EQ(lost, 1);
  EXPECT_THAT(std::string(power.Start().message()), HasSubstr("proc/stat"));
}

}  // namespace
}  // namespace joulefarm::agent
