#include "agent/power/hwmon_power.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/host/host_tree.h"
#include "tests/agent/power/polled.h"

namespace joulefarm::agent {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class HwmonPowerTest : public testing::Test {
 protected:
  void Set(int hwmon, const std::string& file, const std::string& text) {
    host_.Write(absl::StrCat("sys/class/hwmon/hwmon", hwmon, "/", file), text + "\n");
  }
  FoundPower Find() {
    FoundPower found;
    found.batteries.insert("BAT0");
    FindHwmonPower(host_.paths(), found);
    return found;
  }

  HostTree host_;
};

TEST_F(HwmonPowerTest, APowerSensorOnTheSupply) {
  Set(0, "name", "ina226");
  Set(0, "power1_input", "12345000");
  Set(0, "in0_input", "12");
  Set(0, "in1_input", "19000");
  Set(0, "curr1_input", "650");
  const FoundPower found = Find();
  EXPECT_THAT(PollOnce(found), ElementsAre(Pair("ina226", DoubleEq(12.345))));
  const v1::ChannelInfo channel = ChannelsOf(found).at("ina226");
  EXPECT_EQ(channel.scope(), v1::SCOPE_BOARD_RAIL);
  EXPECT_FALSE(channel.has_gain_u()) << "nobody stated its shunt's tolerance";
  ASSERT_EQ(found.totals.size(), 1U);
  EXPECT_EQ(found.totals[0].channel, "ina226");
  EXPECT_EQ(found.totals[0].width, Width::kRail) << "what it feeds is not known";
  EXPECT_THAT(found.obstacles, ElementsAre(HasSubstr("not known to be the whole board")));
  EXPECT_EQ(channel.refresh_ns(), 70'400'000) << "16 conversions, and as old again";
}

TEST_F(HwmonPowerTest, HowOldAValueMayBe) {
  Set(0, "name", "ina226");
  Set(0, "label", "stated");
  Set(0, "power1_input", "12345000");
  Set(0, "update_interval", "140");
  Set(1, "name", "ina219");
  Set(1, "power1_input", "12345000");
  Set(2, "name", "ltc2947");
  Set(2, "power1_input", "12345000");
  const auto channels = ChannelsOf(Find());
  EXPECT_EQ(channels.at("stated").refresh_ns(), 280'000'000);
  EXPECT_EQ(channels.at("ina219").refresh_ns(), 2'200'000);
  EXPECT_EQ(channels.at("ltc2947").refresh_ns(), 1'000'000'000) << "nobody says";
}

TEST_F(HwmonPowerTest, AnAverageSaysOverHowLong) {
  Set(0, "name", "power_meter");
  Set(0, "power1_average", "180000000");
  Set(0, "power1_average_interval", "3000");
  Set(1, "name", "amdgpu");
  Set(1, "power1_average", "35000000");
  const auto channels = ChannelsOf(Find());
  EXPECT_EQ(channels.at("power_meter").refresh_ns(), 3'000'000'000);
  EXPECT_THAT(channels.at("power_meter").description(), HasSubstr("average power of 3000 ms by"));
  EXPECT_EQ(channels.at("amdgpu").refresh_ns(), 1'000'000'000);
  EXPECT_THAT(channels.at("amdgpu").description(), HasSubstr("(assumed)"));
}

TEST_F(HwmonPowerTest, VoltageTimesCurrentWhereThereIsNoPower) {
  Set(0, "name", "ina219");
  Set(0, "in1_input", "5000");
  Set(0, "curr1_input", "1200");
  Set(1, "name", "nct6798");
  Set(1, "in1_input", "1000");
  Set(1, "curr1_input", "700");
  EXPECT_THAT(PollOnce(Find()), ElementsAre(Pair("ina219", DoubleEq(6))))
      << "inputs of a board's controller that share a number share nothing else";
}

TEST_F(HwmonPowerTest, SeveralRailsByLabelOfWhichNoneIsTheWhole) {
  Set(0, "name", "ina238");
  Set(0, "label", "VIN_5V");
  Set(0, "power1_input", "1000000");
  Set(1, "name", "ina238");
  Set(1, "label", "VIN_5V");
  Set(1, "power1_input", "2000000");
  Set(2, "name", "ina238");
  Set(2, "label", "NC");
  Set(2, "power1_input", "0");
  Set(3, "name", "ina238");
  Set(3, "power1_input", "");
  const FoundPower found = Find();
  EXPECT_THAT(PollOnce(found), UnorderedElementsAre(Pair("VIN_5V", 1), Pair("VIN_5V@hwmon1", 2)));
  EXPECT_THAT(found.totals, IsEmpty());
  EXPECT_THAT(found.obstacles, ElementsAre(HasSubstr("power_channel")));
}

TEST_F(HwmonPowerTest, AMachinesMeterAndItsGpu) {
  Set(0, "name", "power_meter");
  Set(0, "power1_average", "180000000");
  Set(1, "name", "amdgpu");
  Set(1, "power1_label", "PPT");
  Set(1, "power1_average", "35000000");
  Set(2, "name", "BAT0");
  Set(2, "power1_input", "4000000");
  Set(3, "name", "ucsi_source_psy_USBC000:001");
  Set(3, "power1_input", "15000000");
  Set(4, "name", "nvme");
  Set(4, "temp1_input", "40000");
  const FoundPower found = Find();
  EXPECT_THAT(PollOnce(found), UnorderedElementsAre(Pair("power_meter", 180), Pair("PPT", 35)));
  const auto channels = ChannelsOf(found);
  EXPECT_EQ(channels.at("power_meter").scope(), v1::SCOPE_DEVICE);
  EXPECT_EQ(channels.at("PPT").scope(), v1::SCOPE_PACKAGE);
  ASSERT_EQ(found.totals.size(), 1U) << "a GPU is not the device";
  EXPECT_EQ(found.totals[0].channel, "power_meter");
  EXPECT_EQ(found.totals[0].width, Width::kDevice);
}

}  // namespace
}  // namespace joulefarm::agent
