#include "agent/power/meter/check_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/power/meter/registry.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const MeterModel& Model(const std::string& name) { return *FindMeterModel(name); }

std::string Wrong(const std::string& model, const MeterSettings& settings) {
  return std::string(CheckSettings(Model(model), settings).message());
}

MeterSettings Supply(double volts, const std::string& mode = "") {
  MeterSettings settings;
  settings.supply_v = volts;
  settings.mode = mode;
  return settings;
}

TEST(CheckSettingsTest, NothingStatedIsRightButWhereAVoltageIsNeeded) {
  for (const MeterModel& model : MeterModels()) {
    EXPECT_EQ(CheckSettings(model, MeterSettings()).ok(), !model.needs_supply_v) << model.name;
  }
  EXPECT_THAT(Wrong("ppk2", {}), AllOf(StartsWith("supply_v: "), HasSubstr("mode: source_meter")));
}

TEST(CheckSettingsTest, APpk2AsAnAmpereMeterAndAsASource) {
  EXPECT_EQ(Wrong("ppk2", Supply(12)), "") << "another supply's";
  EXPECT_EQ(Wrong("ppk2", Supply(12, "ampere_meter")), "");
  EXPECT_EQ(Wrong("ppk2", Supply(3.7, "source_meter")), "");
  EXPECT_THAT(Wrong("ppk2", Supply(5.1, "source_meter")),
              AllOf(StartsWith("supply_v: 5.1 V"), HasSubstr("0.8 to 5 V")));
  EXPECT_THAT(Wrong("ppk2", Supply(0)), StartsWith("supply_v: nothing runs on no voltage"));
  MeterSettings source;
  source.mode = "source_meter";
  EXPECT_THAT(Wrong("ppk2", source), AllOf(StartsWith("supply_v: "), HasSubstr("0.8 to 5 V")));
  source.supply_u_v = 0.1;
  EXPECT_THAT(Wrong("ppk2", source), StartsWith("supply_u_v: of which voltage?"));
}

TEST(CheckSettingsTest, AMonsoonFeedsAndConnectsThrough) {
  EXPECT_EQ(Wrong("monsoon", Supply(4.2)), "");
  EXPECT_EQ(Wrong("monsoon", Supply(0)), "") << "off";
  EXPECT_THAT(Wrong("monsoon", Supply(14)), HasSubstr("0.8 to 13.5 V"));
  MeterSettings through;
  through.usb_pass_through = "auto";
  EXPECT_EQ(Wrong("monsoon", through), "");
  EXPECT_THAT(Wrong("km003c", through),
              AllOf(StartsWith("usb_pass_through: "), HasSubstr("monsoon"), HasSubstr("take it")));
  MeterSettings unsure = Supply(4.2);
  unsure.supply_u_v = 0.1;
  EXPECT_THAT(Wrong("monsoon", unsure), HasSubstr("measures the voltage"));
}

TEST(CheckSettingsTest, WhatAnotherModelHasIsTakenOut) {
  EXPECT_THAT(Wrong("km003c", Supply(5)),
              AllOf(StartsWith("supply_v: "), HasSubstr("take it out")));
  EXPECT_THAT(Wrong("tegrastats", Supply(5)), HasSubstr("says the power and feeds nothing"));
  MeterSettings mode;
  mode.mode = "source_meter";
  EXPECT_THAT(Wrong("monsoon", mode), AllOf(StartsWith("mode: "), HasSubstr("ppk2")));
  MeterSettings command;
  command.command = {"x"};
  EXPECT_THAT(Wrong("km003c", command),
              AllOf(StartsWith("command: "), HasSubstr("dumpsys-battery, powermetrics, tegrast")));
}

TEST(CheckSettingsTest, HowOftenAProgramPrintsIsKnown) {
  MeterSettings settings;
  settings.command = {"ssh", "edge", "tegrastats"};
  EXPECT_THAT(Wrong("tegrastats", settings),
              AllOf(StartsWith("command: "), HasSubstr("{interval_ms}"), HasSubstr("rate_hz")));
  EXPECT_EQ(Wrong("dumpsys-battery", settings), "") << "it is run for each reading";
  settings.rate_hz = 1;
  EXPECT_EQ(Wrong("tegrastats", settings), "");
  settings.rate_hz = 0;
  settings.command.emplace_back("--interval={interval_ms}");
  EXPECT_EQ(Wrong("tegrastats", settings), "");
  EXPECT_THAT(CommandOf(Model("tegrastats"), settings),
              ElementsAre("ssh", "edge", "tegrastats", "--interval=100"));
}

TEST(CheckSettingsTest, TheModelsOwnCommand) {
  MeterSettings settings;
  settings.rate_hz = 2;
  EXPECT_THAT(CommandOf(Model("tegrastats"), settings),
              ElementsAre("tegrastats", "--interval", "500"));
  EXPECT_THAT(CommandOf(Model("dumpsys-battery"), {}), ElementsAre("dumpsys", "battery"));
  EXPECT_THAT(CommandOf(Model("km003c"), {}), testing::IsEmpty());
  EXPECT_THAT(ProgramNode(Model("tegrastats"), settings), StartsWith("tegrastats@"));
  settings.command = {"adb", "-s", "A1", "shell", "dumpsys", "battery"};
  EXPECT_THAT(ProgramNode(Model("dumpsys-battery"), settings),
              StartsWith("adb -s A1 shell dumpsys battery@"));
}

}  // namespace
}  // namespace joulefarm::agent
