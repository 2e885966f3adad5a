#include "agent/commands/meters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class MetersTest : public testing::Test {
 protected:
  void OrinNano() {
    const std::string dir = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/";
    const auto rail = [&](int input, const char* label, const char* mv, const char* ma) {
      host_.Write(absl::StrCat(dir, "in", input, "_label"), label);
      host_.Write(absl::StrCat(dir, "in", input, "_input"), mv);
      host_.Write(absl::StrCat(dir, "curr", input, "_input"), ma);
    };
    rail(1, "VDD_IN", "5016", "1496");
    rail(2, "VDD_CPU_GPU_CV", "5008", "544");
    rail(3, "VDD_SOC", "5016", "328");
  }
  void Rapl() {
    host_.Write("sys/class/powercap/intel-rapl:0/name", "package-0\n");
    host_.Write("sys/class/powercap/intel-rapl:0/energy_uj", "240422366267\n");
    host_.Write("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n");
  }
  MetersReport Report() { return ReadMeters(host_.paths(), settings_); }
  std::string Table() {
    std::ostringstream out;
    WriteMetersTable(Report(), out);
    return out.str();
  }
  nlohmann::json Json() {
    std::ostringstream out;
    WriteMetersJson(Report(), out, err_);
    return nlohmann::json::parse(out.str());
  }

  HostTree host_;
  PowerSettings settings_;
  std::ostringstream err_;
};

TEST_F(MetersTest, ATableOfRailsBelowTheirTotal) {
  OrinNano();
  EXPECT_EQ(
      Table(),
      "CHANNEL               NOW      ±  SCOPE       PROVENANCE  ROLE             RATE\n"
      "VDD_IN            7.504 W   0.38  board_rail  measured    total           20 Hz\n"
      "  VDD_CPU_GPU_CV  2.724 W   0.14  board_rail  measured    part of VDD_IN  20 Hz\n"
      "  VDD_SOC         1.645 W  0.094  board_rail  measured    part of VDD_IN  20 Hz\n"
      "\nResults are reported from VDD_IN: rail VDD_IN of INA3221 1-0040: what the module takes; "
      "no carrier board, disk or fan.\n");
}

TEST_F(MetersTest, ACounterHasNoZeroThatWouldBeMissing) {
  Rapl();
  const nlohmann::json channels = Json();
  ASSERT_EQ(channels.size(), 1U);
  EXPECT_EQ(channels[0]["offset_u_w"], nullptr);
  EXPECT_EQ(channels[0]["gain_u"], 0.05);
}

TEST_F(MetersTest, AnArrayOfObjects) {
  OrinNano();
  const nlohmann::json channels = Json();
  ASSERT_EQ(channels.size(), 3U);
  EXPECT_EQ(channels[0]["name"], "VDD_IN");
  EXPECT_EQ(channels[0]["power_w"], 7.503936);
  EXPECT_EQ(channels[0]["scope"], "board_rail");
  EXPECT_EQ(channels[0]["provenance"], "measured");
  EXPECT_EQ(channels[0]["parent"], nullptr);
  EXPECT_EQ(channels[0]["total"], true);
  EXPECT_EQ(channels[0]["primary"], true);
  EXPECT_EQ(channels[0]["energy_j"], nullptr);
  EXPECT_EQ(channels[1]["parent"], "VDD_IN");
  EXPECT_EQ(channels[1]["total"], false);
  EXPECT_EQ(channels[1]["primary"], false);
  EXPECT_EQ(err_.str(), "");
}

TEST_F(MetersTest, ACounterThatStandsStillHasNoPower) {
  Rapl();
  const nlohmann::json channels = Json();
  ASSERT_EQ(channels.size(), 1U);
  EXPECT_EQ(channels[0]["power_w"], nullptr);
  EXPECT_EQ(channels[0]["energy_j"], 240422.366267);
  EXPECT_THAT(Table(), HasSubstr("240422.4 J"));
}

TEST_F(MetersTest, WhatTheOperatorNamesIsWhatResultsComeFrom) {
  OrinNano();
  settings_.channel = "VDD_SOC";
  for (const auto& channel : Json()) {
    EXPECT_EQ(channel["primary"], channel["name"] == "VDD_SOC");
    EXPECT_EQ(channel["total"], channel["name"] == "VDD_IN");
  }
}

TEST_F(MetersTest, WhatStandsInTheWayIsApart) {
  host_.Write("sys/class/power_supply/BAT0/type", "Battery\n");
  host_.Write("sys/class/power_supply/BAT0/status", "Charging\n");
  host_.Write("sys/class/power_supply/BAT0/power_now", "21000000\n");
  const std::string table = Table();
  EXPECT_THAT(table, HasSubstr("-21.000 W"));
  EXPECT_THAT(table, HasSubstr("\nIn the way:\n  - BAT0 is Charging"));
  EXPECT_THAT(table, HasSubstr("reported from the channel estimated, which does not measure"));
  EXPECT_EQ(Json().size(), 1U);
  EXPECT_THAT(err_.str(), HasSubstr("in the way: BAT0 is Charging"));
}

TEST_F(MetersTest, AHostWithoutSensors) {
  EXPECT_THAT(Table(), HasSubstr("Nothing measures power here."));
  EXPECT_THAT(Table(), Not(HasSubstr("In the way")));
  EXPECT_EQ(Json(), nlohmann::json::array());
}

}  // namespace
}  // namespace joulefarm::agent
