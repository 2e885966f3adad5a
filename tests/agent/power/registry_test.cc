#include "agent/power/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RegistryTest : public testing::Test {
 protected:
  RegistryTest() { host_.Write("proc/stat", "cpu  1 0 0 1 0 0 0 0 0 0\ncpu0 0\n"); }
  void Rapl(const std::string& energy_uj) {
    host_.Write("sys/class/powercap/intel-rapl:0/name", "package-0\n");
    host_.Write("sys/class/powercap/intel-rapl:0/energy_uj", energy_uj + "\n");
    host_.Write("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n");
  }
  void Rail() {
    const std::string dir = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/";
    for (const auto& [input, label] : {std::pair(1, "VDD_IN"), std::pair(2, "VDD_SOC")}) {
      host_.Write(absl::StrCat(dir, "in", input, "_label"), label);
      host_.Write(absl::StrCat(dir, "in", input, "_input"), "5000");
      host_.Write(absl::StrCat(dir, "curr", input, "_input"), "1000");
    }
  }
  void Battery(const std::string& status) {
    host_.Write("sys/class/power_supply/BAT0/type", "Battery\n");
    host_.Write("sys/class/power_supply/BAT0/status", status + "\n");
    host_.Write("sys/class/power_supply/BAT0/power_now", "5000000\n");
  }
  PowerSelection Select(const PowerWish& wish) {
    return SelectPower(wish, host_.paths(), settings_);
  }

  HostTree host_;
  PowerSettings settings_;
};

TEST_F(RegistryTest, NothingIsSampledWhereNoPowerIsWanted) {
  v1::JobSpec spec;
  spec.set_power(v1::POWER_REQUIRE_NONE);
  const PowerSelection selection = SelectPower(WishOf(spec), host_.paths(), PowerSettings{});
  EXPECT_THAT(selection.sources, IsEmpty());
  EXPECT_THAT(selection.ranking, IsEmpty());
}

TEST_F(RegistryTest, WhatNothingMeasuresIsEstimated) {
  v1::JobSpec spec;
  spec.set_power(v1::POWER_REQUIRE_OPTIONAL);
  const PowerSelection selection = SelectPower(WishOf(spec), host_.paths(), PowerSettings{});
  EXPECT_EQ(selection.sources.size(), 1U);
  EXPECT_THAT(selection.ranking, ElementsAre("estimated"));
}

TEST_F(RegistryTest, MeasuredBeforeEstimatedAndTheWidestFirst) {
  Rapl("1000000");
  EXPECT_THAT(Select({}).ranking, ElementsAre("package-0", "estimated"));
  Rail();
  EXPECT_THAT(Select({}).ranking, ElementsAre("VDD_IN", "package-0", "estimated"));
  Battery("Discharging");
  EXPECT_THAT(Select({}).ranking, ElementsAre("BAT0", "VDD_IN", "package-0", "estimated"));
  host_.Write("sys/class/hwmon/hwmon9/name", "power_meter\n");
  host_.Write("sys/class/hwmon/hwmon9/power1_average", "90000000\n");
  const PowerSelection selection = Select({});
  EXPECT_THAT(selection.ranking,
              ElementsAre("power_meter", "BAT0", "VDD_IN", "package-0", "estimated"));
  int primaries = 0;
  std::vector<std::string> names;
  for (const v1::ChannelInfo& channel : ListChannels(selection)) {
    names.push_back(channel.name());
    primaries += channel.primary() ? 1 : 0;
  }
  EXPECT_EQ(primaries, 1);
  EXPECT_THAT(names,
              ElementsAre("power_meter", "BAT0", "VDD_IN", "package-0", "estimated", "VDD_SOC"));
  Battery("Charging");
  EXPECT_THAT(Select({}).ranking, ElementsAre("power_meter", "VDD_IN", "package-0", "estimated"));
}

TEST_F(RegistryTest, ARailThatMayFeedAnythingIsTheLastResort) {
  host_.Write("sys/class/hwmon/hwmon9/name", "coolant\n");
  host_.Write("sys/class/hwmon/hwmon9/power1_input", "90000000\n");
  EXPECT_THAT(Select({}).ranking, ElementsAre("coolant", "estimated"));
  Rapl("1000000");
  const PowerSelection selection = Select({});
  EXPECT_THAT(selection.ranking, ElementsAre("package-0", "estimated"));
  EXPECT_THAT(selection.totals, ElementsAre("package-0"));
  EXPECT_THAT(selection.obstacles, ElementsAre(HasSubstr("power_channel")));
  EXPECT_THAT(Select({.channel = "coolant"}).ranking, ElementsAre("coolant", "estimated"));
}

TEST_F(RegistryTest, OfTwoRailsAloneOnTheirChipsNoneIsTheBoard) {
  host_.Write("sys/class/hwmon/hwmon9/name", "coolant\n");
  host_.Write("sys/class/hwmon/hwmon9/power1_input", "90000000\n");
  const std::string dir = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/";
  host_.Write(absl::StrCat(dir, "in1_label"), "VDD_FAN");
  host_.Write(absl::StrCat(dir, "in1_input"), "5000");
  host_.Write(absl::StrCat(dir, "curr1_input"), "100");
  EXPECT_THAT(Select({}).ranking, ElementsAre("estimated"));
}

TEST_F(RegistryTest, AChannelAskedForIsTakenOrNothingInItsPlace) {
  Rail();
  settings_.channel = "VDD_SOC";
  EXPECT_THAT(Select({}).ranking, ElementsAre("VDD_SOC", "estimated"));
  EXPECT_THAT(Select({.channel = "VDD_IN"}).ranking, ElementsAre("VDD_IN", "estimated"));
  EXPECT_THAT(Select({.channel = "estimated"}).ranking, ElementsAre("estimated"));
  const PowerSelection missing = Select({.channel = "meter"});
  EXPECT_THAT(missing.ranking, ElementsAre("estimated"));
  EXPECT_THAT(missing.obstacles,
              ElementsAre(AllOf(HasSubstr("meter was asked for"), HasSubstr("VDD_IN, VDD_SOC"))));
}

TEST_F(RegistryTest, ASlowChannelGivesWayWhereARateIsAskedFor) {
  Rail();
  Battery("Discharging");
  const PowerSelection selection = Select({.min_rate_hz = 10});
  EXPECT_THAT(selection.ranking, ElementsAre("VDD_IN", "estimated"));
  EXPECT_THAT(selection.obstacles, ElementsAre(HasSubstr("BAT0 (1 Hz)")));
}

TEST_F(RegistryTest, RequiredPowerThatNothingMeasuresNamesWhatStandsInTheWay) {
  const PowerWish wish{.require = v1::POWER_REQUIRE_REQUIRED};
  EXPECT_THAT(std::string(CheckRequired(wish, Select(wish)).message()),
              HasSubstr("no power sensor was found"));
  Battery("Charging");
  const absl::Status charging = CheckRequired(wish, Select(wish));
  EXPECT_TRUE(absl::IsFailedPrecondition(charging));
  EXPECT_THAT(std::string(charging.message()), HasSubstr("BAT0 is Charging"));
  Rail();
  EXPECT_TRUE(CheckRequired(wish, Select(wish)).ok());
  EXPECT_TRUE(CheckRequired({}, PowerSelection{}).ok());
}

TEST_F(RegistryTest, WhatIsConfiguredWithoutMeasuringComesAfterWhatMeasures) {
  PowerSettings settings;
  settings.simulated = SimulatedSettings{.watts = 7};
  host_.Write("trace.csv", "t_s,power_w\n0,1\n1,2\n");
  settings.replay = ReplaySettings{.file = host_.root() / "trace.csv"};
  EXPECT_THAT(SelectPower(PowerWish{}, host_.paths(), settings).ranking,
              ElementsAre("simulated", "replay", "estimated"));
  Rapl("1");
  const PowerSelection selection = SelectPower(PowerWish{}, host_.paths(), settings);
  EXPECT_THAT(selection.ranking, ElementsAre("package-0", "simulated", "replay", "estimated"));
  settings.channel = "replay";
  const PowerSelection named = SelectPower(PowerWish{}, host_.paths(), settings);
  EXPECT_THAT(named.ranking, ElementsAre("replay", "estimated"));
  EXPECT_FALSE(CheckRequired({.require = v1::POWER_REQUIRE_REQUIRED}, named).ok())
      << "it measures nothing";
}

TEST_F(RegistryTest, WhatIsConfiguredWronglyIsAnObstacle) {
  PowerSettings settings;
  settings.simulated = SimulatedSettings{.watts = -7};
  settings.replay = ReplaySettings{.file = host_.root() / "none.csv"};
  const PowerSelection selection = SelectPower(PowerWish{}, host_.paths(), settings);
  EXPECT_THAT(selection.ranking, ElementsAre("estimated"));
  EXPECT_THAT(selection.obstacles,
              ElementsAre(HasSubstr("simulated power: watts"), HasSubstr("cannot read")));
}

}  // namespace
}  // namespace joulefarm::agent
