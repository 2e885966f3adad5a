#include "agent/host/host_sensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class HostSensorsTest : public testing::Test {
 protected:
  void Zone(int number, const std::string& type, const std::string& milli_c) {
    const std::string dir = absl::StrCat("sys/class/thermal/thermal_zone", number);
    host_.Write(dir + "/type", type + "\n");
    host_.Write(dir + "/temp", milli_c + "\n");
  }
  void Policy(int number, const std::string& khz) {
    host_.Write(absl::StrCat("sys/devices/system/cpu/cpufreq/policy", number, "/scaling_cur_freq"),
                khz + "\n");
  }
  static std::map<std::string, double> Values(HostSensors& sensors) {
    std::map<std::string, double> values;
    sensors.Read([&](std::size_t channel, std::int64_t raw) {
      const v1::ChannelInfo& info = sensors.channels()[channel];
      values[info.name()] = static_cast<double>(raw) * info.scale();
    });
    return values;
  }

  HostTree host_;
};

TEST_F(HostSensorsTest, ZonesAndClocksByName) {
  Zone(0, "x86_pkg_temp", "41000");
  Zone(10, "acpitz", "27800");
  Policy(0, "1800000");
  Policy(4, "2400000");
  HostSensors sensors(host_.paths(), 2);
  EXPECT_THAT(Values(sensors),
              UnorderedElementsAre(Pair("temp.x86_pkg_temp", 41), Pair("temp.acpitz", 27.8),
                                   Pair("cpu_freq.0", 1.8e9), Pair("cpu_freq.4", 2.4e9)));
  EXPECT_EQ(sensors.hottest_c(), 41);
  EXPECT_EQ(sensors.fastest_hz(), 2.4e9);
  for (const v1::ChannelInfo& channel : sensors.channels()) {
    EXPECT_EQ(channel.nominal_hz(), 2);
    EXPECT_EQ(channel.provenance(), v1::PROVENANCE_MEASURED);
  }
}

TEST_F(HostSensorsTest, ZonesOfOneNameAreKeptApart) {
  Zone(2, "CV0-therm", "40000");
  Zone(3, "CV0-therm", "41000");
  Zone(4, "GPU-therm", "42000");
  HostSensors sensors(host_.paths(), 1);
  EXPECT_THAT(Values(sensors),
              UnorderedElementsAre(Pair("temp.CV0-therm.2", 40), Pair("temp.CV0-therm.3", 41),
                                   Pair("temp.GPU-therm", 42)));
}

TEST_F(HostSensorsTest, ZonesThatAreOffAndConstantsAreNoTemperatures) {
  Zone(0, "CV-therm", "-256000");
  Zone(1, "acpitz", "-44000");
  Zone(2, "stuck", "255000");
  Zone(3, "empty", "");
  Zone(4, "PMIC-Die", "100000");
  Zone(5, "cpu-thermal", "-5000");
  host_.Write("sys/class/thermal/thermal_zone6/type", "without a reading\n");
  HostSensors sensors(host_.paths(), 1);
  EXPECT_THAT(Values(sensors), UnorderedElementsAre(Pair("temp.cpu-thermal", -5)));
  EXPECT_EQ(sensors.hottest_c(), -5);
  Zone(0, "CV-therm", "39000");
  EXPECT_EQ(Values(sensors)["temp.CV-therm"], 39) << "it was switched on";
  Zone(0, "CV-therm", "-256000");
  Zone(5, "cpu-thermal", "-256000");
  EXPECT_TRUE(Values(sensors).empty());
  EXPECT_FALSE(sensors.hottest_c()) << "a reading of before";
}

TEST_F(HostSensorsTest, ThrottlingIsCountedAndFansAreNoThrottling) {
  for (int cpu = 0; cpu < 2; ++cpu) {
    const std::string dir = absl::StrCat("sys/devices/system/cpu/cpu", cpu, "/thermal_throttle/");
    host_.Write(dir + "core_throttle_count", absl::StrCat(3 + cpu, "\n"));
    host_.Write(dir + "package_throttle_count", "10\n");
  }
  const auto cooling = [&](int number, const std::string& type, const std::string& state) {
    const std::string dir = absl::StrCat("sys/class/thermal/cooling_device", number, "/");
    host_.Write(dir + "type", type + "\n");
    host_.Write(dir + "cur_state", state + "\n");
  };
  cooling(0, "Processor", "0");
  cooling(1, "pwm-fan", "3");
  cooling(2, "cpu-throttle-alert", "1");
  cooling(3, "intel_powerclamp", "-1");
  cooling(4, "iwlwifi_1", "2");
  HostSensors sensors(host_.paths(), 1);
  EXPECT_THAT(Values(sensors),
              UnorderedElementsAre(Pair("throttle.cpu", 27), Pair("cooling.Processor.0", 0),
                                   Pair("cooling.cpu-throttle-alert.2", 1)));
  host_.Remove("sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count");
  EXPECT_FALSE(Values(sensors).contains("throttle.cpu")) << "a part of the sum";
}

TEST_F(HostSensorsTest, BatteryChargeAndAnAmdProcessor) {
  host_.Write("sys/class/power_supply/BAT0/type", "Battery\n");
  host_.Write("sys/class/power_supply/BAT0/capacity", "87\n");
  host_.Write("sys/class/power_supply/mouse/type", "Battery\n");
  host_.Write("sys/class/power_supply/mouse/scope", "Device\n");
  host_.Write("sys/class/power_supply/mouse/capacity", "15\n");
  host_.Write("sys/class/hwmon/hwmon2/name", "k10temp\n");
  host_.Write("sys/class/hwmon/hwmon2/temp1_input", "55125\n");
  host_.Write("sys/class/hwmon/hwmon3/name", "nvme\n");
  host_.Write("sys/class/hwmon/hwmon3/temp1_input", "70000\n");
  HostSensors sensors(host_.paths(), 1);
  EXPECT_THAT(Values(sensors),
              UnorderedElementsAre(Pair("battery_pct.BAT0", 87), Pair("temp.k10temp", 55.125)));
  EXPECT_EQ(sensors.hottest_c(), 55.125);
}

TEST_F(HostSensorsTest, ATreeWithoutTheClassLinks) {
  host_.Write("sys/devices/virtual/thermal/thermal_zone0/type", "CPU-therm\n");
  host_.Write("sys/devices/virtual/thermal/thermal_zone0/temp", "42000\n");
  HostSensors sensors(host_.paths(), 1);
  EXPECT_THAT(Values(sensors), ElementsAre(Pair("temp.CPU-therm", 42)));
}

TEST_F(HostSensorsTest, AnEmptyHostHasNone) {
  HostSensors sensors(host_.paths(), 1);
  EXPECT_TRUE(sensors.channels().empty());
  EXPECT_TRUE(Values(sensors).empty());
}

}  // namespace
}  // namespace joulefarm::agent
