#include "agent/host/host_probe.h"

#include <gtest/gtest.h>

#include "agent/process/boottime.h"
#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

class HostProbeTest : public testing::Test {
 protected:
  HostProbeTest() { SetTicks(0, 0); }
  void SetTicks(int busy, int idle) {
    host_.Write("proc/stat",
                absl::StrCat("cpu  ", busy, " 0 0 ", idle, " 0 0 0 0 0 0\ncpu0 0\ncpu1 0\n"));
  }
  HostTree host_;
};

TEST_F(HostProbeTest, SaysWhatItEstimatesAndSenses) {
  host_.Write("sys/class/thermal/thermal_zone0/type", "cpu\n");
  host_.Write("sys/class/thermal/thermal_zone0/temp", "51500\n");
  host_.Write("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "1500000\n");
  PowerSettings settings;
  settings.estimate.idle_w = 3;
  settings.estimate.peak_w = 3;
  HostProbe probe(host_.paths(), settings);
  LiveReading reading = probe.Read();
  EXPECT_EQ(reading.channel, "estimated");
  EXPECT_EQ(reading.provenance, v1::PROVENANCE_ESTIMATED);
  EXPECT_FALSE(reading.power_w) << "a counter says nothing before its second reading";
  EXPECT_FALSE(reading.cpu_share) << "no time has passed in this tree";
  EXPECT_EQ(reading.temp_c, 51.5);
  EXPECT_EQ(reading.cpu_hz, 1.5e9);
  EXPECT_FALSE(reading.rss_bytes) << "there is no engine";
  SetTicks(30, 70);
  reading = probe.Read();
  ASSERT_TRUE(reading.cpu_share);
  EXPECT_DOUBLE_EQ(*reading.cpu_share, 0.3);
  const std::int64_t enough_ns = BoottimeNs() + 5'000'000'000;
  while (!reading.power_w && BoottimeNs() < enough_ns) reading = probe.Read();
  ASSERT_TRUE(reading.power_w);
  EXPECT_NEAR(*reading.power_w, 3, 0.01);
}

TEST_F(HostProbeTest, APartThatCannotBeReadLeavesTheWhole) {
  const std::string dir = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/";
  const auto rail = [&](int input, const std::string& label, const std::string& ma) {
    host_.Write(absl::StrCat(dir, "in", input, "_label"), label + "\n");
    host_.Write(absl::StrCat(dir, "in", input, "_input"), "5000\n");
    host_.Write(absl::StrCat(dir, "curr", input, "_input"), ma + "\n");
  };
  rail(1, "VDD_IN", "1400");
  rail(2, "VDD_SOC", "400");
  HostProbe probe(host_.paths(), PowerSettings{});
  host_.Remove(dir + "curr2_input");
  LiveReading reading = probe.Read();
  EXPECT_EQ(reading.channel, "VDD_IN");
  ASSERT_TRUE(reading.power_w);
  EXPECT_DOUBLE_EQ(*reading.power_w, 7);
  // What was read before is not what is there now.
  host_.Remove(dir + "curr1_input");
  reading = probe.Read();
  EXPECT_EQ(reading.channel, "");
  EXPECT_FALSE(reading.power_w);
}

TEST_F(HostProbeTest, WhatCannotBeReadIsAbsent) {
  host_.Remove("proc/stat");
  HostProbe probe(host_.paths(), PowerSettings{});
  const LiveReading reading = probe.Read();
  EXPECT_FALSE(reading.power_w);
  EXPECT_EQ(reading.channel, "");
  EXPECT_FALSE(reading.cpu_share);
  EXPECT_FALSE(reading.temp_c);
  EXPECT_FALSE(reading.cpu_hz);
}

}  // namespace
}  // namespace joulefarm::agent
