#include "agent/power/battery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/host/host_tree.h"
#include "tests/agent/power/polled.h"

namespace joulefarm::agent {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class BatteryTest : public testing::Test {
 protected:
  void Set(const std::string& supply, const std::string& file, const std::string& text) {
    host_.Write("sys/class/power_supply/" + supply + "/" + file, text + "\n");
  }
  void Battery(const std::string& name, const std::string& status) {
    Set(name, "type", "Battery");
    Set(name, "status", status);
  }
  FoundPower Find() {
    FoundPower found;
    FindBatteries(host_.paths(), found);
    return found;
  }

  HostTree host_;
};

TEST_F(BatteryTest, AThinkPadOnBattery) {
  Set("AC", "type", "Mains");
  Set("AC", "online", "0");
  Battery("BAT0", "Discharging");
  Set("BAT0", "power_now", "4830000");
  Set("BAT0", "voltage_now", "12229000");
  Set("BAT0", "energy_now", "49450000");
  const FoundPower found = Find();
  EXPECT_THAT(PollOnce(found), ElementsAre(Pair("BAT0", DoubleNear(4.83, 1e-9))));
  const v1::ChannelInfo channel = ChannelsOf(found).at("BAT0");
  EXPECT_EQ(channel.scope(), v1::SCOPE_BATTERY);
  EXPECT_EQ(channel.provenance(), v1::PROVENANCE_MEASURED);
  EXPECT_FALSE(channel.has_gain_u()) << "no gauge states it";
  ASSERT_EQ(found.totals.size(), 1U);
  EXPECT_EQ(found.totals[0].width, Width::kBattery);
  EXPECT_THAT(found.obstacles, IsEmpty());
}

TEST_F(BatteryTest, CurrentTimesVoltageOfEitherSign) {
  Battery("BAT0", "Discharging");
  Set("BAT0", "current_now", "1469687");
  Set("BAT0", "voltage_now", "4387000");
  const double watts = 1.469687 * 4.387;
  EXPECT_THAT(PollOnce(Find()), ElementsAre(Pair("BAT0", DoubleNear(watts, 1e-6))));
  Set("BAT0", "current_now", "-1469687");
  EXPECT_THAT(PollOnce(Find()), ElementsAre(Pair("BAT0", DoubleNear(watts, 1e-6))));
  Battery("BAT0", "Charging");
  EXPECT_THAT(PollOnce(Find()), ElementsAre(Pair("BAT0", DoubleNear(-watts, 1e-6))));
  Set("BAT0", "current_now", "1469687");
  EXPECT_THAT(PollOnce(Find()), ElementsAre(Pair("BAT0", DoubleNear(-watts, 1e-6))));
}

TEST_F(BatteryTest, NeitherChargingNorDischargingHasADirectionOnlyBySign) {
  Battery("BAT0", "Not charging");
  Set("BAT0", "power_now", "0");
  const FoundPower found = Find();
  EXPECT_THAT(PollOnce(found), ElementsAre(Pair("BAT0", 0)));
  EXPECT_THAT(found.totals, IsEmpty());
  Set("BAT0", "power_now", "-250000");
  EXPECT_THAT(PollOnce(found), ElementsAre(Pair("BAT0", 0.25)));
  Set("BAT0", "power_now", "250000");
  EXPECT_THAT(PollOnce(found), IsEmpty());
}

TEST_F(BatteryTest, AChargingBatteryIsShownButSaysNothingOfTheDevice) {
  Battery("BAT0", "Charging");
  Set("BAT0", "power_now", "21000000");
  const FoundPower found = Find();
  EXPECT_THAT(PollOnce(found), ElementsAre(Pair("BAT0", -21)));
  EXPECT_THAT(found.totals, IsEmpty());
  EXPECT_THAT(found.obstacles, ElementsAre(HasSubstr("BAT0 is Charging")));
}

TEST_F(BatteryTest, TwoBatteriesFeedTheDeviceTogether) {
  Battery("BAT0", "Unknown");
  Set("BAT0", "power_now", "0");
  Battery("BAT1", "Discharging");
  Set("BAT1", "power_now", "6500000");
  const FoundPower found = Find();
  EXPECT_THAT(PollOnce(found),
              UnorderedElementsAre(Pair("BAT0", 0), Pair("BAT1", 6.5), Pair("batteries", 6.5)));
  EXPECT_EQ(ChannelsOf(found).at("BAT0").parent(), "batteries");
  ASSERT_EQ(found.totals.size(), 1U);
  EXPECT_EQ(found.totals[0].channel, "batteries");
}

TEST_F(BatteryTest, WhatIsNoBatteryOfTheDeviceOrNotThereIsLeftOut) {
  Battery("hidpp_battery_0", "Discharging");
  Set("hidpp_battery_0", "scope", "Device");
  Set("hidpp_battery_0", "power_now", "1000");
  Battery("BAT1", "Unknown");
  Set("BAT1", "present", "0");
  Set("BAT1", "power_now", "0");
  const FoundPower found = Find();
  EXPECT_THAT(found.sources, IsEmpty());
  EXPECT_THAT(found.obstacles, IsEmpty());
}

TEST_F(BatteryTest, AGaugeThatDoesNotAnswerHasNoValue) {
  Battery("BAT0", "Discharging");
  const FoundPower none = Find();
  EXPECT_THAT(none.sources, IsEmpty());
  EXPECT_THAT(none.obstacles, ElementsAre(HasSubstr("BAT0")));
  Set("BAT0", "power_now", "5000000");
  const FoundPower found = Find();
  host_.Remove("sys/class/power_supply/BAT0");
  std::vector<PowerReading> readings;
  std::int64_t lost = 0;
  EXPECT_FALSE(found.sources[0]->Poll(readings, lost).ok());
  EXPECT_TRUE(readings.empty());
  EXPECT_EQ(lost, 1);
}

}  // namespace
}  // namespace joulefarm::agent
