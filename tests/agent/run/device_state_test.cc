#include "agent/run/device_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

using testing::IsEmpty;

DeviceState Read(const HostTree& tree) { return DeviceStateReader(tree.paths()).Read(); }

TEST(DeviceStateTest, AnEmptyTreeSaysNothing) {
  HostTree tree;
  const DeviceState device = Read(tree);
  EXPECT_THAT(device.zones, IsEmpty());
  EXPECT_THAT(device.batteries, IsEmpty());
  EXPECT_THAT(device.throttles, IsEmpty());
  EXPECT_FALSE(device.background_cpu);
  EXPECT_FALSE(device.available_bytes);
}

TEST(DeviceStateTest, ZonesHaveTheirNames) {
  HostTree tree;
  tree.Write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
  tree.Write("sys/class/thermal/thermal_zone0/temp", "48250\n");
  // Switched off.
  tree.Write("sys/class/thermal/thermal_zone1/type", "gpu-thermal\n");
  tree.Write("sys/class/thermal/thermal_zone1/temp", "-256000\n");
  const DeviceState device = Read(tree);
  ASSERT_EQ(device.zones.size(), 1u);
  EXPECT_EQ(device.zones[0].name, "cpu-thermal");
  EXPECT_DOUBLE_EQ(device.zones[0].temp_c, 48.25);
}

TEST(DeviceStateTest, BatteriesOfTheDeviceAndNotOfItsMouse) {
  HostTree tree;
  tree.Write("sys/class/power_supply/AC/type", "Mains\n");
  tree.Write("sys/class/power_supply/BAT0/type", "Battery\n");
  tree.Write("sys/class/power_supply/BAT0/present", "1\n");
  tree.Write("sys/class/power_supply/BAT0/capacity", "73\n");
  tree.Write("sys/class/power_supply/BAT0/status", "Discharging\n");
  // Without a capacity of its own.
  tree.Write("sys/class/power_supply/BAT1/type", "Battery\n");
  tree.Write("sys/class/power_supply/BAT1/energy_now", "20000000\n");
  tree.Write("sys/class/power_supply/BAT1/energy_full", "50000000\n");
  tree.Write("sys/class/power_supply/BAT1/status", "Charging\n");
  tree.Write("sys/class/power_supply/BAT2/type", "Battery\n");
  tree.Write("sys/class/power_supply/BAT2/status", "Unknown\n");
  tree.Write("sys/class/power_supply/BAT3/type", "Battery\n");
  tree.Write("sys/class/power_supply/BAT3/present", "0\n");
  tree.Write("sys/class/power_supply/hid-mouse/type", "Battery\n");
  tree.Write("sys/class/power_supply/hid-mouse/scope", "Device\n");
  const DeviceState device = Read(tree);
  ASSERT_EQ(device.batteries.size(), 3u);
  EXPECT_EQ(device.batteries[0].name, "BAT0");
  EXPECT_EQ(device.batteries[0].charge_pct, 73);
  EXPECT_EQ(device.batteries[0].charging, false);
  EXPECT_EQ(device.batteries[1].charge_pct, 40);
  EXPECT_EQ(device.batteries[1].charging, true);
  EXPECT_FALSE(device.batteries[2].charge_pct);
  EXPECT_FALSE(device.batteries[2].charging);
}

TEST(DeviceStateTest, MemoryIsWhatIsAvailable) {
  HostTree tree;
  tree.Write("proc/meminfo",
             "MemTotal:        8000000 kB\nMemFree:          100000 kB\n"
             "MemAvailable:    2048000 kB\n");
  EXPECT_EQ(Read(tree).available_bytes, std::int64_t{2048000} * 1024);
}

TEST(DeviceStateTest, TheUseOfTheProcessorsIsSinceTheReadBefore) {
  HostTree tree;
  tree.Write("proc/stat", "cpu  100 0 0 900 0 0 0 0 0 0\ncpu0 100 0 0 900 0 0 0 0 0 0\n");
  DeviceStateReader reader(tree.paths());
  tree.Write("proc/stat", "cpu  125 0 0 975 0 0 0 0 0 0\ncpu0 125 0 0 975 0 0 0 0 0 0\n");
  EXPECT_NEAR(*reader.Read().background_cpu, 0.25, 1e-9);
  EXPECT_FALSE(reader.Read().background_cpu);
  tree.Write("proc/stat", "cpu  225 0 0 975 0 0 0 0 0 0\ncpu0 225 0 0 975 0 0 0 0 0 0\n");
  EXPECT_NEAR(*reader.Read().background_cpu, 1, 1e-9);
}

TEST(DeviceStateTest, ThrottleCountersOfCoresPackagesAndBoards) {
  HostTree tree;
  for (const char* cpu : {"cpu0", "cpu1"}) {
    const std::string throttle = absl::StrCat("sys/devices/system/cpu/", cpu, "/thermal_throttle/");
    tree.Write(throttle + "core_throttle_count", "3\n");
    tree.Write(throttle + "package_throttle_count", "7\n");
  }
  tree.Write("sys/class/hwmon/hwmon2/oc3_event_cnt", "11\n");
  std::map<std::string, std::int64_t> counts;
  for (const DeviceState::Count& count : Read(tree).throttles) counts[count.name] = count.count;
  EXPECT_EQ(counts,
            (std::map<std::string, std::int64_t>{{"core", 6}, {"oc3", 11}, {"package", 7}}));
}

}  // namespace
}  // namespace joulefarm::agent
