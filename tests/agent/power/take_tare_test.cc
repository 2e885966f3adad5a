#include "agent/power/take_tare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "agent/power/tare_file.h"
#include "tests/agent/power/quiet_meter.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TakeTareTest : public testing::Test {
 protected:
  absl::StatusOr<TareSamples> Take(double seconds = 10) {
    return SampleTare(meter_.model, settings_, meter_.Opener(), seconds, meter_.Now());
  }
  std::string WhyNot() {
    const absl::StatusOr<TareSamples> samples = Take();
    return samples.ok() ? WhyNoTare(meter_.model, *samples) : std::string("no samples");
  }

  QuietMeter meter_;
  MeterSettings settings_;
};

TEST_F(TakeTareTest, TheMeanCurrentWhereThereAreVoltsAndAmperes) {
  meter_.sample = [](int i) { return Sample(5, i % 2 == 0 ? -0.003 : -0.001, 7); };
  const absl::StatusOr<TareSamples> samples = Take();
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_EQ(samples->tare.model, "quiet");
  // From the first sample to one that is 10 s later, 100 a second.
  EXPECT_EQ(samples->tare.samples, 1001);
  EXPECT_NEAR(*samples->tare.current_a, -0.002, 2e-6);
  EXPECT_EQ(samples->tare.power_w, std::nullopt);
  EXPECT_NEAR(samples->tare.sd.value_or(0), 0.001, 2e-6);
  EXPECT_DOUBLE_EQ(*samples->tare.voltage_v, 5);
  EXPECT_THAT(WhyNoTare(meter_.model, *samples), IsEmpty());
  EXPECT_EQ(meter_.stopped, 1);
}

TEST_F(TakeTareTest, ElseTheMeanPower) {
  meter_.sample = [](int) { return Sample({}, {}, 0.01); };
  const absl::StatusOr<TareSamples> samples = Take();
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_NEAR(*samples->tare.power_w, 0.01, 1e-12);
  EXPECT_EQ(samples->tare.current_a, std::nullopt);
  EXPECT_EQ(samples->tare.voltage_v, std::nullopt);
}

TEST_F(TakeTareTest, OfTheMainsThePower) {
  meter_.model.link = LinkKind::kTcp;
  meter_.model.max_voltage_v = 300;
  meter_.sample = [](int) { return Sample(230, 0.01, 0.02); };
  const absl::StatusOr<TareSamples> samples = Take();
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_NEAR(*samples->tare.power_w, 0.02, 1e-12);
  EXPECT_EQ(samples->tare.current_a, std::nullopt);
}

TEST_F(TakeTareTest, WithoutASupplyTheVoltageSaysNothing) {
  meter_.sample = [](int) { return Sample(0.02, 0.001); };
  const absl::StatusOr<TareSamples> samples = Take();
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_EQ(samples->tare.voltage_v, std::nullopt);
}

TEST_F(TakeTareTest, WhatIsBeyondTheModelsRangeIsNoSample) {
  meter_.sample = [](int i) { return Sample(5, i % 10 == 5 ? 100.0 : 0.001); };
  const absl::StatusOr<TareSamples> samples = Take();
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_NEAR(*samples->tare.current_a, 0.001, 1e-12);
}

TEST_F(TakeTareTest, ADeviceThatDrawsIsNoOffset) {
  meter_.sample = [](int) { return Sample(5, 0.021); };
  EXPECT_THAT(WhyNot(), HasSubstr("0.021 A in mean, beyond the 0.02 A"));
  meter_.sample = [](int) { return Sample({}, {}, -0.06); };
  EXPECT_THAT(WhyNot(), HasSubstr("-0.06 W in mean, beyond the 0.05 W"));
  meter_.model.offset_u_w = 0.01;
  EXPECT_THAT(WhyNot(), IsEmpty());
}

TEST_F(TakeTareTest, TheLimitOfAMeterOfSmallCurrentsIsSmaller) {
  meter_.model.max_current_a = 1;
  meter_.sample = [](int) { return Sample(5, 0.011); };
  EXPECT_THAT(WhyNot(), HasSubstr("beyond the 0.01 A"));
}

TEST_F(TakeTareTest, WhatComesAndGoesIsNotSteady) {
  meter_.sample = [](int i) { return Sample(5, i % 2 == 0 ? 0.006 : -0.006); };
  EXPECT_THAT(WhyNot(), HasSubstr("not steady: a standard deviation of 0.006 A"));
}

TEST_F(TakeTareTest, ADriftIsNotSteady) {
  meter_.sample = [](int i) { return Sample(5, i < 500 ? 0.001 : 0.004); };
  EXPECT_THAT(WhyNot(), HasSubstr("the second half differs from the first by 0.003 A"));
}

TEST_F(TakeTareTest, TooFewSamplesTellNothing) {
  meter_.step_ns = 900'000'000;
  const absl::StatusOr<TareSamples> samples = Take(1);
  EXPECT_TRUE(absl::IsUnavailable(samples.status())) << samples.status();
  EXPECT_THAT(std::string(samples.status().message()), HasSubstr("--seconds"));
}

TEST_F(TakeTareTest, AMeterThatFallsSilentTellsNothing) {
  meter_.sample = [](int i) { return i < 10 ? Sample(5, 0.001) : Sample({}, {}); };
  EXPECT_TRUE(absl::IsUnavailable(Take().status()));
}

TEST_F(TakeTareTest, WithoutAnySampleItEnds) {
  meter_.sample = [](int) { return Sample({}, {}); };
  EXPECT_TRUE(absl::IsDeadlineExceeded(Take().status()));
  EXPECT_EQ(meter_.stopped, 1);
}

TEST_F(TakeTareTest, WhatStandsInTheWayIsSaid) {
  meter_.step_fails_at = 20;
  EXPECT_EQ(Take().status().message(), "it was unplugged");
  EXPECT_EQ(meter_.stopped, 1);
  meter_.open = absl::PermissionDeniedError("do this");
  EXPECT_TRUE(absl::IsPermissionDenied(Take().status()));
}

class TareFileTest : public testing::Test {
 protected:
  std::string Refusal(const std::string& text) {
    std::filesystem::create_directories(file_.parent_path());
    std::ofstream(file_) << text;
    const absl::StatusOr<MeterTares> tares = ReadTares(file_);
    return tares.ok() ? "" : std::string(tares.status().message());
  }

  TempDir dir_;
  const std::filesystem::path file_ = TareFile(dir_.path() / "state");
};

TEST_F(TareFileTest, WhatIsWrittenIsRead) {
  EXPECT_TRUE(ReadTares(file_)->empty());
  const MeterTares tares = {
      {"meter:km003c:A1",
       {.model = "km003c",
        .current_a = -0.00212345678901,
        .sd = 0.0004,
        .voltage_v = 5.02,
        .samples = 4987,
        .taken_at = "2026-11-21T19:00:00Z"}},
      {"meter:ptdaemon:lab:8888",
       {.model = "ptdaemon", .power_w = 0.02, .samples = 10, .taken_at = "2026-11-21T19:00:00Z"}}};
  ASSERT_TRUE(WriteTares(file_, tares).ok());
  const absl::StatusOr<MeterTares> read = ReadTares(file_);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2U);
  const MeterTare& current = read->at("meter:km003c:A1");
  EXPECT_EQ(current.model, "km003c");
  EXPECT_EQ(current.current_a, -0.00212345678901);
  EXPECT_EQ(current.power_w, std::nullopt);
  EXPECT_EQ(current.sd, 0.0004);
  EXPECT_EQ(current.voltage_v, 5.02);
  EXPECT_EQ(current.samples, 4987);
  EXPECT_EQ(current.taken_at, "2026-11-21T19:00:00Z");
  const MeterTare& power = read->at("meter:ptdaemon:lab:8888");
  EXPECT_EQ(power.power_w, 0.02);
  EXPECT_EQ(power.current_a, std::nullopt);
  EXPECT_EQ(power.voltage_v, std::nullopt);
}

TEST_F(TareFileTest, ADamagedFileIsAnErrorWithItsCure) {
  const std::string good =
      R"({"version":1,"meters":{"m":{"model":"x","tare_a":0.1,"taken_at":"2026-11-21T19:00:00Z"}}})";
  EXPECT_EQ(Refusal(good), "");
  // Cut anywhere.
  for (std::size_t most = 0; most < good.size(); ++most)
    EXPECT_THAT(Refusal(good.substr(0, most)), HasSubstr("remove it and take them anew")) << most;
  EXPECT_THAT(Refusal(R"({"version":2,"meters":{}})"), HasSubstr("version"));
  EXPECT_THAT(Refusal(R"({"version":1})"), HasSubstr("lists no meters"));
  const auto entry = [](const std::string& text) {
    return R"({"version":1,"meters":{"m":)" + text + "}}";
  };
  EXPECT_THAT(Refusal(entry("3")), HasSubstr("m: it is no object"));
  EXPECT_THAT(Refusal(entry(R"({"tare_a":"0.1"})")), HasSubstr("tare_a is no number"));
  EXPECT_THAT(Refusal(entry(R"({"tare_a":1e999})")), HasSubstr("damaged"));
  EXPECT_THAT(Refusal(entry(R"({"tare_a":null})")), HasSubstr("tare_a is no number"));
  EXPECT_THAT(Refusal(entry(R"({"model":1})")), HasSubstr("model is no text"));
  EXPECT_THAT(Refusal(entry(R"({"taken_at":"2026-11-21T19:00:00Z"})")),
              HasSubstr("one of tare_a and tare_w"));
  EXPECT_THAT(Refusal(entry(R"({"tare_a":0.1,"tare_w":0.1})")),
              HasSubstr("one of tare_a and tare_w"));
  EXPECT_THAT(Refusal(entry(R"({"tare_a":0.1,"taken_at":"yesterday"})")),
              HasSubstr("no RFC 3339 time"));
  EXPECT_THAT(Refusal(entry(R"({"tare_a":0.1})")), HasSubstr("no RFC 3339 time"));
}

}  // namespace
}  // namespace joulefarm::agent
