#include "agent/power/odpm_rails.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/agent/host/host_tree.h"
#include "tests/agent/power/polled.h"
#include "tests/agent/power/unprivileged.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr char kRails[] =
    "t=358356\n"
    "CH0(T=358356)[S10M_VDD_TPU], 761330\n"
    "CH1(T=358356)[VSYS_PWR_MODEM], 48689000\n";

class OdpmRailsTest : public testing::Test {
 protected:
  static std::string File(int device, const std::string& name) {
    return absl::StrCat("sys/bus/iio/devices/iio:device", device, "/", name);
  }
  void Monitor(int device, const std::string& name, const std::string& energies) {
    host_.Write(File(device, "name"), name + "\n");
    host_.Write(File(device, "energy_value"), energies);
  }
  FoundPower Find() {
    FoundPower found;
    FindOdpm(host_.paths(), found);
    return found;
  }

  HostTree host_;
};

TEST_F(OdpmRailsTest, RailsOfBothMonitorsAreCountersAndNoneIsTheWhole) {
  host_.Write(File(0, "name"), "accelerometer\n");
  Monitor(1, "s2mpg10-odpm", kRails);
  host_.Write(File(1, "sampling_rate"), "125.000000\n");
  host_.Write(File(1, "enabled_rails"), "CH0[S10M_VDD_TPU]:TPU\n");
  Monitor(2, "s2mpg11-odpm", "t=358357\nCH0(T=358357)[S11M_VDD_GPU], 42\n");
  const FoundPower found = Find();
  EXPECT_THAT(PollOnce(found),
              UnorderedElementsAre(Pair("S10M_VDD_TPU", 0.76133), Pair("VSYS_PWR_MODEM", 48.689),
                                   Pair("S11M_VDD_GPU", 42e-6)));
  const auto channels = ChannelsOf(found);
  for (const auto& [name, channel] : channels) {
    EXPECT_EQ(channel.quantity(), v1::QUANTITY_ENERGY_COUNTER_J);
    EXPECT_EQ(channel.provenance(), v1::PROVENANCE_MEASURED);
    EXPECT_EQ(channel.scope(), v1::SCOPE_BOARD_RAIL);
    EXPECT_EQ(channel.parent(), "");
    EXPECT_EQ(channel.nominal_hz(), 10);
    EXPECT_FALSE(channel.has_gain_u()) << "nobody states it";
    EXPECT_FALSE(channel.has_wrap_raw());
  }
  EXPECT_EQ(channels.at("S10M_VDD_TPU").refresh_ns(), 65'000'000) << "eight conversions, 1 ms";
  EXPECT_EQ(channels.at("S11M_VDD_GPU").refresh_ns(), 1'025'000'000) << "nothing says how fast";
  EXPECT_THAT(found.totals, IsEmpty());
  EXPECT_THAT(found.obstacles, ElementsAre(AllOf(HasSubstr("S10M_VDD_TPU, VSYS_PWR_MODEM, S11M"),
                                                 HasSubstr("power_channel"))));
}

TEST_F(OdpmRailsTest, TheMonitorsOwnTimeAndEachRefreshOnce) {
  Monitor(0, "s2mpg10-odpm", kRails);
  const FoundPower found = Find();
  ASSERT_THAT(found.sources, SizeIs(1));
  PowerSource& source = *found.sources[0];
  std::vector<PowerReading> readings;
  std::int64_t lost = 0;
  ASSERT_TRUE(source.Start().ok());
  ASSERT_TRUE(source.Poll(readings, lost).ok());
  ASSERT_THAT(readings, SizeIs(2)) << "as of a tree that stands still";
  EXPECT_EQ(readings[0].t_ns, 358'357'000'000) << "no later than this";
  EXPECT_EQ(readings[0].raw, 761'330);
  EXPECT_EQ(readings[1].channel, 1);
  ASSERT_TRUE(source.Poll(readings, lost).ok());
  EXPECT_THAT(readings, SizeIs(2)) << "nothing new";
  EXPECT_EQ(lost, 0);
  // A rail that is gone has no value, and one that is new no channel.
  Monitor(0, "s2mpg10-odpm",
          "t=358456\nCH1(T=358456)[VSYS_PWR_MODEM], 48700000\nCH2(T=358456)[NEW], 7\n");
  ASSERT_TRUE(source.Poll(readings, lost).ok());
  ASSERT_THAT(readings, SizeIs(3));
  EXPECT_EQ(readings[2].channel, 1);
  EXPECT_EQ(readings[2].t_ns - readings[1].t_ns, 100'000'000);
  EXPECT_EQ(readings[2].raw - readings[1].raw, 11'000);
}

TEST_F(OdpmRailsTest, WhatDoesNotReadIsLostAndSaid) {
  Monitor(0, "s2mpg10-odpm", kRails);
  const FoundPower found = Find();
  ASSERT_THAT(found.sources, SizeIs(1));
  PowerSource& source = *found.sources[0];
  std::vector<PowerReading> readings;
  std::int64_t lost = 0;
  ASSERT_TRUE(source.Poll(readings, lost).ok());
  readings.clear();
  Monitor(0, "s2mpg10-odpm", "t=358456\nCH1(T=358456)[VSYS");
  EXPECT_THAT(std::string(source.Poll(readings, lost).message()), HasSubstr("no rail and its"));
  Monitor(0, "s2mpg10-odpm", "t=100\nCH0(T=100)[S10M_VDD_TPU], 1\n");
  EXPECT_THAT(std::string(source.Poll(readings, lost).message()), HasSubstr("went back"));
  host_.Remove(File(0, "energy_value"));
  EXPECT_TRUE(absl::IsNotFound(source.Poll(readings, lost)));
  EXPECT_EQ(lost, 3);
  EXPECT_THAT(readings, IsEmpty());
}

TEST_F(OdpmRailsTest, AMonitorThatCannotBeUsedSaysWhy) {
  Monitor(0, "s2mpg10-odpm", "");
  Monitor(1, "s2mpg11-odpm", "CH0(T=1)[A], 2\n");
  const FoundPower found = Find();
  EXPECT_THAT(found.sources, IsEmpty());
  EXPECT_THAT(found.obstacles,
              ElementsAre(AllOf(HasSubstr("s2mpg10-odpm"), HasSubstr("0 readings with a time")),
                          HasSubstr("s2mpg11-odpm")));
}

TEST_F(OdpmRailsTest, WithoutPermissionThereIsACureAndNoZero) {
  Monitor(0, "s2mpg10-odpm", kRails);
  std::filesystem::permissions(host_.root() / File(0, "energy_value"),
                               std::filesystem::perms::none);
  const Unprivileged unprivileged;
  if (!unprivileged.works()) GTEST_SKIP() << "this root may not change its user";
  const FoundPower found = Find();
  EXPECT_THAT(found.sources, IsEmpty());
  EXPECT_THAT(found.obstacles, ElementsAre(AllOf(HasSubstr("energy_value"), HasSubstr("chmod"))));
}

TEST_F(OdpmRailsTest, WithoutMonitorsNothingIsSaid) {
  host_.Write(File(0, "name"), "accelerometer\n");
  const FoundPower found = Find();
  EXPECT_THAT(found.sources, IsEmpty());
  EXPECT_THAT(found.obstacles, IsEmpty());
}

}  // namespace
}  // namespace joulefarm::agent
