#include "agent/power/found_meters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/power/meter/check_settings.h"
#include "agent/power/meter/registry.h"
#include "agent/power/stated_meters.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class FoundMetersTest : public testing::Test {
 protected:
  FoundMeter& Plug(const std::string& serial, const std::string& path) {
    FoundMeter& meter = here_.meters.emplace_back();
    meter.model = FindMeterModel("km003c");
    meter.device.vendor = 0x5FC9;
    meter.device.product = 0x0063;
    meter.device.serial = serial;
    meter.device.path = path;
    return meter;
  }
  void Add(bool every = false, const std::string& named = "") {
    TellTwinsApart(here_);
    AddMeters(here_, config_, every, named, found_);
  }
  std::vector<std::string> Channels() const {
    std::vector<std::string> names;
    for (const std::unique_ptr<PowerSource>& source : found_.sources)
      names.push_back(source->channels()[0].name());
    return names;
  }
  std::vector<std::string> Totals() const {
    std::vector<std::string> names;
    for (const PowerTotal& total : found_.totals) {
      EXPECT_EQ(total.width, Width::kDevice);
      names.push_back(total.channel);
    }
    return names;
  }

  FoundMeters here_;
  MeterConfig config_;
  FoundPower found_;
};

TEST_F(FoundMetersTest, TheOnlyMeterIsTheDevices) {
  Plug("A1", "3-1");
  Add();
  EXPECT_THAT(Totals(), ElementsAre("km003c"));
  EXPECT_THAT(found_.obstacles, IsEmpty());
  const MeterReport report = *found_.sources[0]->Meter();
  EXPECT_EQ(report.id, "meter:km003c:A1");
  EXPECT_EQ(report.place, "USB port 3-1");
  EXPECT_EQ(report.serial, "A1");
}

TEST_F(FoundMetersTest, WithoutASerialNumberItIsNamedByItsPort) {
  Plug("", "3-1.2");
  Add();
  EXPECT_EQ(found_.sources[0]->Meter()->id, "meter:km003c:3-1.2");
  EXPECT_EQ(found_.sources[0]->Meter()->serial, std::nullopt);
}

TEST_F(FoundMetersTest, WhatAPlaceTellsIsOneOfItsAgent) {
  config_.agent_id = "lab";
  Plug("", "3-1.2");
  Plug("A1", "3-3");
  Plug("0001A0", "3-4");
  Plug("0001A0", "3-5");
  Add(true);
  const auto id = [&](std::size_t i) { return found_.sources[i]->Meter()->id; };
  EXPECT_EQ(id(0), "meter:km003c:lab:3-1.2");
  EXPECT_EQ(id(1), "meter:km003c:A1") << "the same wherever it is plugged in";
  EXPECT_EQ(id(2), "meter:km003c:lab:3-4");
  EXPECT_EQ(found_.sources[0]->Meter()->local_id, "meter:km003c:3-1.2");
  EXPECT_EQ(NotHere("meter:km003c:lab:3-9", here_).code(), absl::StatusCode::kUnavailable);
}

TEST_F(FoundMetersTest, AServerOnTheNetworkIsTheSameForAllWhoNameIt) {
  const auto id = [](const std::string& node, const std::string& model = "ptdaemon") {
    FoundMeter meter{FindMeterModel(model), {}, ""};
    meter.device.node = node;
    return ResourceIdOf(meter, "lab");
  };
  EXPECT_EQ(id("192.0.2.7:8888"), "meter:ptdaemon:192.0.2.7:8888");
  EXPECT_EQ(id("127.0.0.1:8888"), "meter:ptdaemon:lab:127.0.0.1:8888");
  EXPECT_EQ(id("localhost"), "meter:ptdaemon:lab:localhost");
  EXPECT_EQ(id("/dev/rfcomm0", "um25c"), "meter:um25c:lab:/dev/rfcomm0");
}

class StatedTwiceTest : public FoundMetersTest {
 protected:
  // Found by itself at a node, which has a link.
  void SetUp() override {
    std::ofstream(node_) << "";
    std::filesystem::create_symlink(node_, link_);
    FoundMeter& meter = here_.meters.emplace_back();
    meter.model = FindMeterModel("tc66");
    meter.device.vendor = 0x28E9;
    meter.device.path = "3-1";
    meter.device.node = node_;
  }
  void State(const std::string& node, const std::string& model = "tc66",
             const std::string& serial = "") {
    MeterSettings& settings = config_.meters.emplace_back();
    settings.node = node;
    settings.model = model;
    settings.serial = serial;
    settings.rate_hz = 5;
    AddStated(config_, here_);
  }

  const TempDir dir_;
  const std::string node_ = (dir_.path() / "ttyACM0").string();
  const std::string link_ = (dir_.path() / "usb-meter").string();
};

TEST_F(StatedTwiceTest, AMeterFoundByItselfAndStatedByItsNodeIsOne) {
  State(link_);
  ASSERT_THAT(here_.meters, SizeIs(1));
  Add();
  EXPECT_THAT(found_.obstacles, IsEmpty());
  EXPECT_THAT(Totals(), ElementsAre("tc66"));
  EXPECT_EQ(found_.sources[0]->channels()[0].nominal_hz(), 5) << "what is stated of it counts";
  EXPECT_EQ(found_.sources[0]->Meter()->place, "USB port 3-1");
}

TEST_F(StatedTwiceTest, ByItsOwnNodeAndAgain) {
  State(node_);
  State(link_);
  EXPECT_THAT(here_.meters, SizeIs(1));
  State((dir_.path() / "ttyACM1").string());
  EXPECT_THAT(here_.meters, SizeIs(2)) << "another one";
}

TEST_F(StatedTwiceTest, TheSerialNumberThatIsStatedTellsIt) {
  State(link_, "tc66", "B7");
  ASSERT_THAT(here_.meters, SizeIs(1));
  EXPECT_EQ(IdOf(here_.meters[0]), "meter:tc66:B7");
}

TEST_F(StatedTwiceTest, AsAnotherModelItIsRefused) {
  State(link_, "yzx");
  ASSERT_THAT(here_.meters, SizeIs(1));
  EXPECT_EQ(here_.meters[0].model->name, "tc66");
  EXPECT_THAT(here_.obstacles, ElementsAre(AllOf(HasSubstr(link_), HasSubstr("TC66"))));
}

TEST_F(FoundMetersTest, ALatencyThatWasFoundIsItsOwn) {
  Plug("A1", "3-1");
  Plug("B2", "3-2");
  config_.latencies["meter:km003c:A1"] = {.model = "km003c",
                                          .latency_ns = 1'500'000,
                                          .latency_u_ns = 400'000,
                                          .taken_at = "2026-11-21T19:00:00Z"};
  Add(true);
  const v1::ChannelInfo& power = found_.sources[0]->channels()[0];
  EXPECT_EQ(power.latency_ns(), 1'500'000);
  EXPECT_EQ(power.latency_u_ns(), 400'000);
  EXPECT_THAT(power.description(), HasSubstr("stamps 1.5 ± 0.4 ms late as found 2026-11-21"));
  EXPECT_EQ(found_.sources[0]->Meter()->settings.latency, config_.latencies["meter:km003c:A1"]);
  EXPECT_FALSE(found_.sources[1]->channels()[0].has_latency_ns());
}

TEST_F(FoundMetersTest, OfSeveralTheOperatorHasToChoose) {
  Plug("A1", "3-1");
  Plug("B2", "3-2");
  Add();
  EXPECT_THAT(Totals(), IsEmpty());
  EXPECT_THAT(Channels(), IsEmpty());
  EXPECT_THAT(found_.obstacles,
              ElementsAre(AllOf(HasSubstr("2 meters are here"), HasSubstr("serial A1"),
                                HasSubstr("USB port 3-2"), HasSubstr("meter: {serial: A1}"))));
  EXPECT_FALSE(found_.meter_missing);
}

TEST_F(FoundMetersTest, TheChosenOneOfSeveral) {
  Plug("A1", "3-1");
  Plug("B2", "3-2");
  config_.device.serial = "B2";
  Add();
  EXPECT_THAT(Channels(), ElementsAre("km003c@B2"));
  EXPECT_THAT(Totals(), ElementsAre("km003c@B2"));
  EXPECT_THAT(found_.obstacles, IsEmpty());
}

TEST_F(FoundMetersTest, OthersAreThereToBeLookedAtAndByTheirName) {
  Plug("A1", "3-1");
  Plug("B2", "3-2");
  Add(true);
  EXPECT_THAT(Channels(), ElementsAre("km003c", "km003c@B2"));
  EXPECT_THAT(Totals(), IsEmpty());
  found_ = FoundPower();
  Add(false, "km003c@B2");
  EXPECT_THAT(Channels(), ElementsAre("km003c@B2"));
}

TEST_F(FoundMetersTest, AChosenMeterThatIsNotHereIsMissed) {
  Plug("A1", "3-1");
  config_.device.serial = "C3";
  Add();
  EXPECT_THAT(Totals(), IsEmpty());
  EXPECT_TRUE(found_.meter_missing);
  EXPECT_THAT(found_.obstacles,
              ElementsAre(AllOf(HasSubstr("meter C3"), HasSubstr("there are: A1"))));
}

TEST_F(FoundMetersTest, WhereTheDevicesMeterHangsElsewhereWhatIsHereIsNotIts) {
  Plug("A1", "3-1");
  config_.device.agent = "bench";
  Add();
  EXPECT_THAT(Channels(), IsEmpty());
  EXPECT_FALSE(found_.meter_missing);
}

TEST_F(FoundMetersTest, OneThatCannotBeOpenedIsAnObstacle) {
  Plug("A1", "3-1").obstacle = "no permission; do this";
  Add();
  EXPECT_THAT(Channels(), IsEmpty());
  EXPECT_THAT(found_.obstacles, ElementsAre("no permission; do this"));
}

TEST_F(FoundMetersTest, WhatTheOperatorStatesOfIt) {
  Plug("A1", "3-1");
  Plug("B2", "3-2");
  config_.device.serial = "A1";
  MeterSettings other;
  other.serial = "B2";
  MeterSettings settings;
  settings.serial = "A1";
  settings.channel = "bench";
  settings.gain_u = 0.001;
  settings.rate_hz = 100;
  config_.meters = {other, settings};
  Add();
  ASSERT_THAT(Channels(), ElementsAre("bench"));
  EXPECT_EQ(found_.sources[0]->channels()[0].gain_u(), 0.001);
  EXPECT_EQ(found_.sources[0]->channels()[0].nominal_hz(), 100);
}

TEST_F(FoundMetersTest, ItsTareIsItsOwnAndHasTheSignOfTheDevice) {
  Plug("A1", "3-1");
  Plug("B2", "3-2");
  MeterSettings settings;
  settings.serial = "A1";
  settings.negate = true;
  config_.meters = {settings};
  config_.tares["meter:km003c:A1"] = {.model = "km003c",
                                      .current_a = 0.002,
                                      .sd = 0.0002,
                                      .voltage_v = 5,
                                      .taken_at = "2026-11-21T19:00:00Z"};
  Add(true);
  const MeterReport tared = *found_.sources[0]->Meter();
  EXPECT_EQ(tared.settings.tare_a, -0.002);
  EXPECT_EQ(tared.settings.tare_v, 5);
  EXPECT_NEAR(found_.sources[0]->channels()[0].offset_u(), 0.001, 1e-9);
  EXPECT_EQ(tared.settings.tare_at, "2026-11-21T19:00:00Z");
  const MeterReport other = *found_.sources[1]->Meter();
  EXPECT_EQ(other.settings.tare_a, std::nullopt);
  EXPECT_EQ(other.settings.tare_at, "");
  EXPECT_FALSE(found_.sources[1]->channels()[0].has_offset_u()) << "its maker states none";
}

TEST_F(FoundMetersTest, ASimulatedOneIsLabelledSo) {
  Plug("SIMULATED-1", "3-1");
  Add();
  for (const v1::ChannelInfo& channel : found_.sources[0]->channels())
    EXPECT_EQ(channel.provenance(), v1::PROVENANCE_SIMULATED);
}

TEST_F(FoundMetersTest, TwinsOfOneSerialNumberAreToldByTheirPorts) {
  Plug("0001A0", "3-1");
  Plug("0001A0", "3-2");
  Plug("B2", "3-3");
  Add(true);
  EXPECT_THAT(Channels(), ElementsAre("km003c", "km003c@3-2", "km003c@B2"));
  EXPECT_EQ(found_.sources[0]->Meter()->id, "meter:km003c:3-1");
  EXPECT_EQ(found_.sources[1]->Meter()->id, "meter:km003c:3-2");
  EXPECT_EQ(found_.sources[1]->Meter()->serial, "0001A0");
  EXPECT_EQ(found_.sources[2]->Meter()->id, "meter:km003c:B2");
  EXPECT_THAT(found_.obstacles, ElementsAre(AllOf(HasSubstr("3 meters are here"),
                                                  HasSubstr("meter: {serial: 3-1}"))));
}

TEST_F(FoundMetersTest, ABindingByTheSerialNumberOfTwinsIsRefused) {
  Plug("0001A0", "3-1");
  Plug("0001A0", "3-2");
  config_.device.serial = "0001A0";
  Add();
  EXPECT_THAT(Channels(), IsEmpty());
  EXPECT_TRUE(found_.meter_missing);
  EXPECT_THAT(found_.obstacles,
              ElementsAre(AllOf(HasSubstr("USB port 3-1"), HasSubstr("USB port 3-2"),
                                HasSubstr("serial: 3-1"), Not(HasSubstr("not here")))));
}

TEST_F(FoundMetersTest, ABindingByPortTakesTheTwinInIt) {
  Plug("0001A0", "3-1");
  Plug("0001A0", "3-2");
  config_.device.serial = "3-2";
  Add();
  EXPECT_THAT(Totals(), ElementsAre("km003c@3-2"));
  EXPECT_EQ(found_.sources[0]->Meter()->place, "USB port 3-2");
  EXPECT_THAT(found_.obstacles, IsEmpty());
}

TEST_F(FoundMetersTest, APortNamesAMeterWithASerialNumberOfItsOwnToo) {
  Plug("A1", "3-1");
  Plug("B2", "3-2");
  config_.device.serial = "3-2";
  Add();
  EXPECT_EQ(found_.sources[0]->Meter()->id, "meter:km003c:B2");
}

TEST_F(FoundMetersTest, WhatIsStatedOfOneTwinIsNotStatedOfTheOther) {
  Plug("0001A0", "3-1");
  Plug("0001A0", "3-2");
  MeterSettings settings;
  settings.serial = "3-2";
  settings.gain_u = 0.001;
  config_.meters = {settings};
  Add(true);
  ASSERT_THAT(found_.sources, SizeIs(2));
  EXPECT_NE(found_.sources[0]->channels()[0].gain_u(), 0.001);
  EXPECT_EQ(found_.sources[1]->channels()[0].gain_u(), 0.001);
}

TEST_F(FoundMetersTest, ItIsOpenedWhereItIsNow) {
  FoundMeter meter = Plug("A1", "3-1");
  UsbDevice moved = meter.device;
  moved.path = "3-4";
  EXPECT_EQ(DeviceOf(meter, {moved})->path, "3-4");
  // A twin came and it is still in its port.
  EXPECT_EQ(DeviceOf(meter, {moved, meter.device})->path, "3-1");
  // Two of them, and neither is where it was.
  UsbDevice twin = moved;
  twin.path = "3-5";
  const absl::Status either = DeviceOf(meter, {moved, twin}).status();
  EXPECT_TRUE(absl::IsUnavailable(either));
  EXPECT_THAT(std::string(either.message()),
              AllOf(HasSubstr("USB port 3-4"), HasSubstr("USB port 3-5")));
  EXPECT_THAT(std::string(DeviceOf(meter, {}).status().message()), HasSubstr("not plugged in"));
  // A twin is opened in its port or not at all.
  meter.shares_serial = true;
  EXPECT_TRUE(absl::IsUnavailable(DeviceOf(meter, {moved}).status()));
  EXPECT_EQ(DeviceOf(meter, {moved, meter.device})->path, "3-1");
}

class StatedMetersTest : public FoundMetersTest {
 protected:
  std::vector<std::string> Unused(const std::string& serial, const std::string& model = "") {
    MeterSettings settings;
    settings.serial = serial;
    settings.model = model;
    settings.negate = true;
    config_.meters = {settings};
    TellTwinsApart(here_);
    return UnusedStatements(here_, config_.meters);
  }
  bool Reversed(std::size_t meter = 0) {
    return SettingsFor(here_.meters[meter], here_, config_).negate;
  }
};

TEST_F(StatedMetersTest, WhatIsAboutAMeterThatIsNotHereIsSaid) {
  Plug("B2", "3-1");
  EXPECT_THAT(Unused("A1"), ElementsAre(AllOf(HasSubstr("serial: A1"), HasSubstr("serial B2"),
                                              HasSubstr("; plug it in"))));
  EXPECT_FALSE(Reversed());
  EXPECT_THAT(Unused("B2"), IsEmpty());
  EXPECT_TRUE(Reversed());
  EXPECT_THAT(Unused("3-1"), IsEmpty());
  EXPECT_TRUE(Reversed());
  here_.meters.clear();
  EXPECT_THAT(Unused(""), ElementsAre(HasSubstr("there are: none")));
}

TEST_F(StatedMetersTest, WhatSeveralMayBeMeantByIsAboutNone) {
  Plug("A1", "3-1");
  Plug("A1", "3-2");
  EXPECT_THAT(Unused("A1"),
              ElementsAre(AllOf(HasSubstr("USB port 3-1"), HasSubstr("USB port 3-2"))));
  EXPECT_FALSE(Reversed(0));
  EXPECT_FALSE(Reversed(1));
  EXPECT_THAT(Unused(""), ElementsAre(HasSubstr("2 meters are here")));
  EXPECT_FALSE(Reversed(0));
}

TEST_F(StatedMetersTest, AModelThatIsNotReadIsSaid) {
  Plug("A1", "3-1");
  EXPECT_THAT(Unused("", "nonsense"), ElementsAre(HasSubstr("no model \"nonsense\"")));
  EXPECT_FALSE(Reversed()) << "it is about another model than the meter's";
  EXPECT_THAT(Unused("", "odpm"), ElementsAre(HasSubstr("meters decode odpm")));
  EXPECT_FALSE(Reversed());
  EXPECT_THAT(Unused("", "um25c"), ElementsAre(HasSubstr("state its node")));
  EXPECT_THAT(Unused("A1", "tc66"), ElementsAre(HasSubstr("about no meter here")));
  EXPECT_FALSE(Reversed());
  EXPECT_THAT(Unused("", "km003c"), IsEmpty());
  EXPECT_TRUE(Reversed());
}

TEST(FindMetersTest, WhatIsStatedOfAMeterThatIsNotHereIsAnObstacle) {
  MeterConfig config;
  MeterSettings settings;
  settings.serial = "no such meter";
  config.meters = {settings};
  EXPECT_THAT(FindMeters(config).obstacles, testing::Contains(HasSubstr("serial: no such meter")));
}

TEST(MeterModelsTest, OfTheseNobodyStatesTheZero) {
  for (const char* name : {"km003c", "monsoon", "ptdaemon"})
    EXPECT_FALSE(FindMeterModel(name)->offset_u_w) << name;
}

TEST(FindMetersTest, AMeterThatIsNotHereCannotBeMade) {
  const absl::Status missing = MakeMeterById("meter:km003c:nowhere", MeterConfig()).status();
  EXPECT_TRUE(absl::IsUnavailable(missing)) << missing;
  EXPECT_THAT(std::string(missing.message()), HasSubstr("meter:km003c:nowhere is not here"));
}

TEST_F(FoundMetersTest, BesideAMeterInTheSupplyAProgramsIsNotASecondOne) {
  FoundMeter& reader = here_.meters.emplace_back();
  reader.model = FindMeterModel("tegrastats");
  reader.device.node = "tegrastats@edge";
  Plug("A1", "3-1");
  Add();
  EXPECT_THAT(Totals(), ElementsAre("km003c"));
  EXPECT_THAT(found_.obstacles, IsEmpty());
  here_.meters.pop_back();
  found_ = FoundPower();
  Add();
  ASSERT_THAT(found_.totals, SizeIs(1));
  EXPECT_EQ(found_.totals[0].channel, "tegrastats");
  EXPECT_EQ(found_.totals[0].width, Width::kBoard);
  EXPECT_EQ(found_.sources[0]->Meter()->id, "meter:tegrastats:tegrastats@edge");
  EXPECT_THAT(found_.sources[0]->channels(), SizeIs(1)) << "no voltage";
}

TEST_F(FoundMetersTest, WhatItsMakerComputesIsModelled) {
  FoundMeter& reader = here_.meters.emplace_back();
  reader.model = FindMeterModel("powermetrics");
  reader.device.node = "powermetrics@mac";
  Add();
  EXPECT_EQ(found_.sources[0]->channels()[0].provenance(), v1::PROVENANCE_MODELLED);
  EXPECT_EQ(found_.sources[0]->channels()[0].scope(), v1::SCOPE_PACKAGE);
}

TEST(FindMetersTest, AProgramThatIsNotHereIsAnObstacleWithItsCure) {
  MeterConfig config;
  MeterSettings& settings = config.meters.emplace_back();
  settings.model = "tegrastats";
  settings.command = {"no-such-tegrastats", "{interval_ms}"};
  settings.node = ProgramNode(*FindMeterModel("tegrastats"), settings);
  const FoundMeters here = FindMeters(config);
  ASSERT_THAT(here.meters, SizeIs(1));
  EXPECT_THAT(
      here.meters[0].obstacle,
      AllOf(HasSubstr("NVIDIA tegrastats"), HasSubstr("no-such-tegrastats"), HasSubstr("command")));
  EXPECT_THAT(here.obstacles, IsEmpty()) << "what is stated of it is used";
}

TEST(FindMetersTest, WhatCannotBeOfItsModelIsAnObstacleToTheMeter) {
  MeterConfig config;
  MeterSettings& settings = config.meters.emplace_back();
  settings.model = "yzx";
  settings.node = "/dev/ttyUSB0";
  settings.usb_pass_through = "off";
  const FoundMeters here = FindMeters(config);
  ASSERT_THAT(here.meters, SizeIs(1));
  EXPECT_THAT(here.meters[0].obstacle, HasSubstr("usb_pass_through: YZXStudio"));
}

TEST(FindMetersTest, AConfiguredNodeNeedsAModelThatCanBeRead) {
  MeterConfig config;
  MeterSettings settings;
  settings.node = "/dev/rfcomm0";
  settings.model = "nonsense";
  config.meters = {settings};
  EXPECT_THAT(FindMeters(config).obstacles,
              testing::Contains(AllOf(HasSubstr("/dev/rfcomm0"), HasSubstr("nonsense"))));
}

}  // namespace
}  // namespace joulefarm::agent
