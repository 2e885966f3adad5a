#include "agent/power/board_rails.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "tests/agent/host/host_tree.h"
#include "tests/agent/power/polled.h"
#include "tests/agent/power/unprivileged.h"

namespace joulefarm::agent {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class BoardRailsTest : public testing::Test {
 protected:
  void Hwmon(const std::string& chip, int input, const std::string& label, const std::string& mv,
             const std::string& ma) {
    const std::string dir = "sys/bus/i2c/drivers/ina3221/" + chip + "/hwmon/hwmon3/";
    host_.Write(absl::StrCat(dir, "in", input, "_label"), label + "\n");
    host_.Write(absl::StrCat(dir, "in", input, "_input"), mv + "\n");
    host_.Write(absl::StrCat(dir, "curr", input, "_input"), ma + "\n");
  }
  void Iio(const std::string& chip, int input, const std::string& label, const std::string& mw) {
    const std::string dir = "sys/bus/i2c/drivers/ina3221x/" + chip + "/iio:device0/";
    host_.Write(absl::StrCat(dir, "rail_name_", input), label + "\n");
    host_.Write(absl::StrCat(dir, "in_power", input, "_input"), mw + "\n");
    host_.Write(absl::StrCat(dir, "in_voltage", input, "_input"), "5000\n");
  }
  FoundPower Find() {
    FoundPower found;
    FindBoardRails(host_.paths(), found);
    return found;
  }

  HostTree host_;
};

TEST_F(BoardRailsTest, OrinNanoHasItsRailsAndItsTotalOnce) {
  Hwmon("1-0040", 1, "VDD_IN", "5016", "1496");
  Hwmon("1-0040", 2, "VDD_CPU_GPU_CV", "5008", "544");
  Hwmon("1-0040", 3, "VDD_SOC", "5016", "328");
  const std::string dir = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/";
  host_.Write(dir + "in7_label", "sum of shunt voltages\n");
  host_.Write(dir + "in7_input", "12600\n");
  host_.Write(dir + "curr4_input", "2576\n");
  const FoundPower found = Find();
  EXPECT_THAT(PollOnce(found), UnorderedElementsAre(Pair("VDD_IN", DoubleEq(7.503936)),
                                                    Pair("VDD_CPU_GPU_CV", DoubleEq(2.724352)),
                                                    Pair("VDD_SOC", DoubleEq(1.645248))));
  const auto channels = ChannelsOf(found);
  EXPECT_EQ(channels.at("VDD_IN").parent(), "");
  EXPECT_EQ(channels.at("VDD_CPU_GPU_CV").parent(), "VDD_IN");
  EXPECT_EQ(channels.at("VDD_SOC").parent(), "VDD_IN");
  for (const auto& [name, channel] : channels) {
    EXPECT_EQ(channel.scope(), v1::SCOPE_BOARD_RAIL);
    EXPECT_EQ(channel.provenance(), v1::PROVENANCE_MEASURED);
    EXPECT_EQ(channel.quantity(), v1::QUANTITY_POWER_W);
    EXPECT_EQ(channel.gain_u(), 0.05);
  }
  // 80 uV over 5 mOhm at 5.016 V, evenly distributed.
  EXPECT_NEAR(channels.at("VDD_IN").offset_u(), 0.016 * 5.016 / std::sqrt(3.0), 1e-9);
  ASSERT_EQ(found.totals.size(), 1U);
  EXPECT_EQ(found.totals[0].channel, "VDD_IN");
}

TEST_F(BoardRailsTest, HowOldAValueMayBe) {
  Hwmon("1-0040", 1, "VDD_IN", "5016", "1496");
  EXPECT_EQ(ChannelsOf(Find()).at("VDD_IN").refresh_ns(), 1'000'000'000) << "nobody says";
  host_.Write("sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/update_interval", "100\n");
  const v1::ChannelInfo stated = ChannelsOf(Find()).at("VDD_IN");
  EXPECT_EQ(stated.refresh_ns(), 200'000'000) << "a mean over 100 ms, and as old again";
  EXPECT_EQ(stated.nominal_hz(), 10);
}

TEST_F(BoardRailsTest, ASumIsAsOldAsItsOldestPart) {
  const auto hwmon = [&](const char* chip, const char* interval_ms) {
    host_.Write(absl::StrCat("sys/bus/i2c/drivers/ina3221/", chip, "/hwmon/hwmon3/update_interval"),
                interval_ms);
  };
  Hwmon("1-0040", 1, "GPU", "5000", "100");
  Hwmon("1-0040", 2, "CPU", "5000", "100");
  Hwmon("1-0040", 3, "SOC", "5000", "100");
  Hwmon("1-0041", 1, "CV", "5000", "100");
  Hwmon("1-0041", 2, "VDDRQ", "5000", "100");
  Hwmon("1-0041", 3, "SYS5V", "5000", "100");
  hwmon("1-0040", "10\n");
  hwmon("1-0041", "50\n");
  const auto channels = ChannelsOf(Find());
  EXPECT_EQ(channels.at("GPU").refresh_ns(), 20'000'000);
  EXPECT_EQ(channels.at("total").refresh_ns(), 100'000'000);
}

TEST_F(BoardRailsTest, TheCapturedOrinNano) {
  const char* captures = std::getenv("JOULEFARM_CAPTURES");
  const std::filesystem::path tree =
      std::filesystem::path(captures != nullptr ? captures : JOULEFARM_CAPTURES_DEFAULT) /
      "jetson-orin-nano";
  if (!std::filesystem::is_directory(tree)) {
    GTEST_SKIP() << tree << " is not here; set JOULEFARM_CAPTURES to the folder of recorded data";
  }
  FoundPower found;
  FindBoardRails(HostPaths(tree), found);
  EXPECT_THAT(PollOnce(found), UnorderedElementsAre(Pair("VDD_IN", DoubleEq(7.503936)),
                                                    Pair("VDD_CPU_GPU_CV", DoubleEq(2.724352)),
                                                    Pair("VDD_SOC", DoubleEq(1.645248))));
  ASSERT_EQ(found.totals.size(), 1U);
  EXPECT_EQ(found.totals[0].channel, "VDD_IN");
  EXPECT_EQ(ChannelsOf(found).at("VDD_SOC").parent(), "VDD_IN");
  EXPECT_THAT(found.obstacles, IsEmpty());
}

TEST_F(BoardRailsTest, AChipThatIsInTheClassAsWellIsTakenOnce) {
  Hwmon("1-0040", 1, "VDD_IN", "5016", "1496");
  std::filesystem::create_directories(host_.root() / "sys/class/hwmon");
  std::filesystem::create_directory_symlink(
      host_.root() / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3",
      host_.root() / "sys/class/hwmon/hwmon3");
  host_.Write("sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/name", "ina3221\n");
  EXPECT_EQ(PollOnce(Find()).size(), 1U);
  std::filesystem::remove_all(host_.root() / "sys/bus");
  host_.Remove("sys/class/hwmon/hwmon3");
  host_.Write("sys/class/hwmon/hwmon5/name", "ina3221\n");
  host_.Write("sys/class/hwmon/hwmon5/in1_label", "VDD_IN\n");
  host_.Write("sys/class/hwmon/hwmon5/in1_input", "5000\n");
  host_.Write("sys/class/hwmon/hwmon5/curr1_input", "1000\n");
  EXPECT_THAT(PollOnce(Find()), ElementsAre(Pair("VDD_IN", 5))) << "the class alone";
}

TEST_F(BoardRailsTest, UnconnectedAndEmptyInputsAreLeftOut) {
  Hwmon("1-0040", 1, "VDD_IN", "5016", "1496");
  Hwmon("1-0040", 2, "NC", "0", "0");
  Hwmon("1-0040", 3, "VDD_SOC", "5016", "");
  Hwmon("1-0041", 1, "VDD_GPU", "5000", "100");
  host_.Write("sys/bus/i2c/drivers/ina3221/1-0041/hwmon/hwmon3/in1_enable", "0\n");
  const FoundPower found = Find();
  EXPECT_THAT(PollOnce(found), ElementsAre(Pair("VDD_IN", DoubleEq(7.503936))));
  EXPECT_THAT(found.obstacles, IsEmpty());
}

TEST_F(BoardRailsTest, NanoThroughIio) {
  Iio("6-0040", 0, "POM_5V_IN", "1750");
  Iio("6-0040", 1, "POM_5V_GPU", "0");
  Iio("6-0040", 2, "POM_5V_CPU", "366");
  const FoundPower found = Find();
  EXPECT_THAT(PollOnce(found), UnorderedElementsAre(Pair("POM_5V_IN", 1.75), Pair("POM_5V_GPU", 0),
                                                    Pair("POM_5V_CPU", DoubleEq(0.366))));
  EXPECT_EQ(ChannelsOf(found).at("POM_5V_CPU").parent(), "POM_5V_IN");
  ASSERT_EQ(found.totals.size(), 1U);
  EXPECT_EQ(found.totals[0].channel, "POM_5V_IN");
}

TEST_F(BoardRailsTest, Tx2HasOneTotalOverItsChips) {
  Iio("0-0040", 0, "VDD_GPU", "6854");
  Iio("0-0040", 1, "VDD_SOC", "1371");
  Iio("0-0041", 0, "VDD_IN", "14025");
  Iio("0-0041", 1, "VDD_CPU", "2209");
  const FoundPower found = Find();
  const auto channels = ChannelsOf(found);
  EXPECT_EQ(channels.at("VDD_GPU").parent(), "VDD_IN");
  EXPECT_EQ(channels.at("VDD_CPU").parent(), "VDD_IN");
  ASSERT_EQ(found.totals.size(), 1U);
  EXPECT_EQ(found.totals[0].channel, "VDD_IN");
}

TEST_F(BoardRailsTest, AgxXavierIsTheSumOfItsRails) {
  Iio("1-0040", 0, "GPU", "1155");
  Iio("1-0040", 1, "CPU", "385");
  Iio("1-0040", 2, "SOC", "2502");
  Iio("1-0041", 0, "CV", "0");
  Iio("1-0041", 1, "VDDRQ", "192");
  Iio("1-0041", 2, "SYS5V", "2692");
  const FoundPower found = Find();
  EXPECT_THAT(PollOnce(found).at("total"), DoubleEq(6.926));
  const auto channels = ChannelsOf(found);
  EXPECT_EQ(channels.at("CV").parent(), "total");
  EXPECT_THAT(channels.at("total").description(),
              HasSubstr("GPU + CPU + SOC + CV + VDDRQ + SYS5V"));
  const double of_one = channels.at("GPU").offset_u();
  EXPECT_NEAR(channels.at("total").offset_u(), of_one * std::sqrt(6.0), 1e-12);
  ASSERT_EQ(found.totals.size(), 1U);
  EXPECT_EQ(found.totals[0].channel, "total");
  host_.Remove("sys/bus/i2c/drivers/ina3221x/1-0041/iio:device0/in_power1_input");
  const auto values = PollOnce(found);
  EXPECT_FALSE(values.contains("total")) << "a sum without one of its parts";
  EXPECT_TRUE(values.contains("GPU"));
}

TEST_F(BoardRailsTest, RailsOfWhichNoneIsTheWholeAreNotReportedFrom) {
  Hwmon("1-0040", 1, "VDD_GPU_SOC", "5000", "1000");
  Hwmon("1-0040", 2, "VDD_CPU_CV", "5000", "1000");
  const FoundPower found = Find();
  EXPECT_EQ(PollOnce(found).size(), 2U);
  EXPECT_THAT(found.totals, IsEmpty());
  EXPECT_THAT(found.obstacles, ElementsAre(HasSubstr("VDD_GPU_SOC, VDD_CPU_CV")));
  EXPECT_THAT(found.obstacles, ElementsAre(HasSubstr("power_channel")));
}

TEST_F(BoardRailsTest, OneRailThatIsNoKnownInputIsNotTheBoard) {
  Hwmon("1-0040", 1, "VDD_FAN", "5000", "100");
  const FoundPower found = Find();
  ASSERT_EQ(found.totals.size(), 1U);
  EXPECT_EQ(found.totals[0].width, Width::kRail);
  EXPECT_THAT(found.obstacles, ElementsAre(HasSubstr("rail VDD_FAN: not known")));
  EXPECT_EQ(ChannelsOf(found).at("VDD_FAN").description(), "rail VDD_FAN of INA3221 1-0040");
}

TEST_F(BoardRailsTest, NoPermissionIsAnObstacle) {
  Hwmon("1-0040", 1, "VDD_IN", "5016", "1496");
  std::filesystem::permissions(
      host_.root() / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/curr1_input",
      std::filesystem::perms::none);
  const Unprivileged unprivileged;
  if (!unprivileged.works()) GTEST_SKIP() << "root here cannot become somebody else";
  const FoundPower found = Find();
  EXPECT_THAT(found.sources, IsEmpty());
  EXPECT_THAT(found.obstacles, ElementsAre(HasSubstr("curr1_input")));
}

}  // namespace
}  // namespace joulefarm::agent
