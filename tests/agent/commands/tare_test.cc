#include "agent/commands/tare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "agent/commands/meters.h"
#include "agent/power/tare_file.h"
#include "tests/agent/power/quiet_meter.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TareTest : public testing::Test {
 protected:
  TareTest() {
    Plug("A1");
    request_.file = TareFile(dir_.path());
  }
  void Plug(const std::string& serial, const std::string& port = "3-1") {
    FoundMeter& meter = here_.meters.emplace_back();
    meter.model = &meter_.model;
    meter.device.serial = serial;
    meter.device.path = port;
    TellTwinsApart(here_);
  }
  int Take() {
    err_.str("");
    TareHooks hooks;
    hooks.find = [this](const MeterConfig&) { return here_; };
    hooks.opener = [this](const FoundMeter&) { return meter_.Opener(); };
    hooks.now_ns = meter_.Now();
    hooks.wall_now_ns = [] { return std::int64_t{1'795'287'600'500'000'000}; };
    return TakeTare(request_, config_, hooks, out_, err_);
  }
  int Clear() {
    err_.str("");
    return ClearTare(request_, out_, err_);
  }
  MeterTares Kept() {
    const absl::StatusOr<MeterTares> tares = ReadTares(request_.file);
    EXPECT_TRUE(tares.ok()) << tares.status();
    return tares.ok() ? *tares : MeterTares();
  }
  void DrawsPower() {
    meter_.sample = [](int) { return Sample(5, 0.3); };
  }

  TempDir dir_;
  QuietMeter meter_;
  FoundMeters here_;
  MeterConfig config_;
  TareRequest request_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(TareTest, OfTwinsItIsThatOfTheOneInThePort) {
  Plug("A1", "3-2");
  request_.meter = "A1";
  EXPECT_NE(Take(), 0);
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("USB port 3-1"), HasSubstr("USB port 3-2")));
  EXPECT_TRUE(Kept().empty());
  request_.meter = "3-2";
  EXPECT_EQ(Take(), 0) << err_.str();
  EXPECT_TRUE(Kept().contains("meter:quiet:3-2"));
}

TEST_F(TareTest, TheOnlyMetersIsKept) {
  EXPECT_EQ(Take(), 0) << err_.str();
  const MeterTares kept = Kept();
  ASSERT_EQ(kept.size(), 1U);
  const MeterTare& tare = kept.at("meter:quiet:A1");
  EXPECT_NEAR(*tare.current_a, 0.002, 1e-12);
  EXPECT_EQ(tare.taken_at, "2026-11-21T19:00:00Z");
  EXPECT_THAT(out_.str(),
              AllOf(HasSubstr("meter:quiet:A1: tare 0.002 A"), HasSubstr("1001 samples"),
                    HasSubstr("at 5.000 V"), HasSubstr(request_.file.string())));
}

TEST_F(TareTest, OfSeveralTheOneThatIsNamed) {
  Plug("B2");
  EXPECT_EQ(Take(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("2 meters are here; name one of them: A1, B2"));
  request_.meter = "C3";
  EXPECT_EQ(Take(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("meter C3 is not here (there are: A1, B2)"));
  request_.meter = "B2";
  EXPECT_EQ(Take(), 0);
  request_.meter = "meter:quiet:A1";
  EXPECT_EQ(Take(), 0);
  EXPECT_EQ(Kept().size(), 2U);
}

TEST_F(TareTest, WithoutAMeterOrWithAnObstacleItSaysSo) {
  here_.meters[0].obstacle = "no permission; do this";
  EXPECT_EQ(Take(), 1);
  EXPECT_EQ(err_.str(), "no permission; do this\n");
  here_.meters.clear();
  here_.obstacles = {"no bus"};
  EXPECT_EQ(Take(), 1);
  EXPECT_EQ(err_.str(), "there is no meter here\nno bus\n");
}

TEST_F(TareTest, ADeviceOnItIsRefusedUnlessForced) {
  DrawsPower();
  EXPECT_EQ(Take(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("beyond the 0.02 A"));
  EXPECT_FALSE(std::filesystem::exists(request_.file));
  request_.force = true;
  EXPECT_EQ(Take(), 0);
  EXPECT_THAT(err_.str(), HasSubstr("kept all the same"));
  EXPECT_NEAR(*Kept().at("meter:quiet:A1").current_a, 0.3, 1e-12);
}

TEST_F(TareTest, ARefusalLeavesTheTareBefore) {
  EXPECT_EQ(Take(), 0);
  DrawsPower();
  EXPECT_EQ(Take(), 1);
  EXPECT_NEAR(*Kept().at("meter:quiet:A1").current_a, 0.002, 1e-12);
}

TEST_F(TareTest, ATareThatIsInUseDoesNotCountInTheNext) {
  EXPECT_EQ(Take(), 0);
  config_.tares = Kept();
  EXPECT_EQ(Take(), 0);
  EXPECT_NEAR(*Kept().at("meter:quiet:A1").current_a, 0.002, 1e-12);
}

TEST_F(TareTest, WhichWayTheMeterSitsDoesNotChangeWhatIsKept) {
  MeterSettings settings;
  settings.negate = true;
  config_.meters = {settings};
  EXPECT_EQ(Take(), 0);
  config_.tares = Kept();
  EXPECT_NEAR(*config_.tares.at("meter:quiet:A1").current_a, 0.002, 1e-12);
  EXPECT_NEAR(*SettingsFor(here_.meters[0], here_, config_).tare_a, -0.002, 1e-12);
}

TEST_F(TareTest, ADamagedFileIsLeftAsItIs) {
  std::ofstream(request_.file) << "{";
  EXPECT_EQ(Take(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("damaged"));
  EXPECT_EQ(Clear(), 1);
  EXPECT_EQ(std::filesystem::file_size(request_.file), 1U);
}

TEST_F(TareTest, ForgottenWithoutTheMeter) {
  EXPECT_EQ(Clear(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("there is no tare in"));
  Plug("B2");
  for (const char* serial : {"A1", "B2"}) {
    request_.meter = serial;
    EXPECT_EQ(Take(), 0);
  }
  here_.meters.clear();
  request_.meter.clear();
  EXPECT_EQ(Clear(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("meter:quiet:A1, meter:quiet:B2"));
  request_.meter = "A1";
  EXPECT_EQ(Clear(), 0);
  EXPECT_EQ(Clear(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("no tare of A1"));
  request_.meter.clear();
  EXPECT_EQ(Clear(), 0);
  EXPECT_TRUE(Kept().empty());
}

TEST_F(TareTest, MetersShowsItAndItsDate) {
  MetersReport report;
  MeterNow& now = report.meters.emplace_back();
  now.channel.set_name("quiet");
  now.meter.emplace().title = "Quiet meter";
  now.meter->settings.tare_a = 0.002;
  now.meter->settings.tare_at = "2026-11-21T19:00:00Z";
  WriteMetersTable(report, out_);
  // Lines are wrapped.
  std::string table = out_.str();
  for (std::size_t at = table.find("\n    "); at != std::string::npos; at = table.find("\n    "))
    table.replace(at, 5, " ");
  EXPECT_THAT(table, HasSubstr("tare 0.002 A taken 2026-11-21T19:00:00Z"));
  out_.str("");
  WriteMetersJson(report, out_, err_);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("\"tare_a\": 0.002"), HasSubstr("\"tare_w\": null"),
                                HasSubstr("\"tare_at\": \"2026-11-21T19:00:00Z\"")));
}

}  // namespace
}  // namespace joulefarm::agent
