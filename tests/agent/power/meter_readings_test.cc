#include "agent/power/meter_readings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kMs = 1'000'000;

MeterModel Model() {
  MeterModel model;
  model.name = "test";
  model.title = "Test meter";
  model.max_rate_hz = 100;
  model.max_voltage_v = 30;
  model.max_current_a = 5;
  model.gain_u = 0.01;
  model.refresh_ns = 2 * kMs;
  return model;
}

MeterSample Sample(double voltage_v, double current_a) {
  MeterSample sample;
  sample.voltage_v = voltage_v;
  sample.current_a = current_a;
  sample.power_w = voltage_v * current_a;
  return sample;
}

class MeterReadingsTest : public testing::Test {
 protected:
  MeterReadings& Readings() {
    if (!readings_)
      readings_.emplace(model_, settings_, "m",
                        MeterReadings::Source{"meter:test:1", "Test meter 1"});
    return *readings_;
  }
  void Take(std::vector<MeterSample> samples, std::int64_t arrived_ns,
            std::optional<std::int64_t> asked_ns = {}) {
    MeterBatch batch;
    batch.samples = std::move(samples);
    batch.arrived_ns = arrived_ns;
    batch.asked_ns = asked_ns;
    Readings().Take(batch, out_, pairs_, lost_);
  }
  void TakeTicked(std::int64_t tick_ns, std::int64_t arrived_ns) {
    MeterSample sample = Sample(5, 1);
    sample.t_ns = tick_ns;
    Take({sample}, arrived_ns);
  }
  std::vector<std::int64_t> Stamps() const {
    std::vector<std::int64_t> stamps;
    for (const PowerReading& reading : out_) {
      if (reading.channel == MeterReadings::kPower) stamps.push_back(reading.t_ns);
    }
    return stamps;
  }
  std::vector<double> Watts() {
    std::vector<double> watts;
    for (const PowerReading& reading : out_) {
      if (reading.channel == MeterReadings::kPower)
        watts.push_back(static_cast<double>(reading.raw) * Readings().channels()[0].scale());
    }
    return watts;
  }

  MeterModel model_ = Model();
  MeterSettings settings_;
  std::optional<MeterReadings> readings_;
  std::vector<PowerReading> out_;
  std::vector<ClockPair> pairs_;
  std::int64_t lost_ = 0;
};

TEST_F(MeterReadingsTest, ChannelsOfPowerAndVoltage) {
  const std::vector<v1::ChannelInfo>& channels = Readings().channels();
  ASSERT_EQ(channels.size(), 2U);
  EXPECT_EQ(channels[0].name(), "m");
  EXPECT_EQ(channels[0].quantity(), v1::QUANTITY_POWER_W);
  EXPECT_EQ(channels[0].scope(), v1::SCOPE_DEVICE);
  EXPECT_EQ(channels[0].provenance(), v1::PROVENANCE_MEASURED);
  EXPECT_EQ(channels[0].nominal_hz(), 100);
  EXPECT_EQ(channels[0].gain_u(), 0.01);
  EXPECT_FALSE(channels[0].has_offset_u());
  EXPECT_EQ(channels[0].refresh_ns(), 2 * kMs);
  EXPECT_EQ(channels[0].meter(), "meter:test:1");
  EXPECT_EQ(channels[0].clock(), "");
  EXPECT_FALSE(channels[0].has_smoothing_ns());
  EXPECT_EQ(channels[1].name(), "m.voltage");
  EXPECT_EQ(channels[1].quantity(), v1::QUANTITY_VOLTAGE_V);
  EXPECT_EQ(channels[1].nominal_hz(), 10);
}

TEST_F(MeterReadingsTest, AZeroThatNobodyStatesIsNotKnownToBeRight) {
  EXPECT_FALSE(Readings().channels()[0].has_offset_u());
  readings_.reset();
  model_.offset_u_w = 0.002;
  EXPECT_EQ(Readings().channels()[0].offset_u(), 0.002);
  // What says itself that it is none has no zero.
  model_.offset_u_w.reset();
  const MeterReadings simulated(model_, settings_, "m",
                                {"meter:test:1", "Test meter 1", v1::PROVENANCE_SIMULATED});
  EXPECT_TRUE(simulated.channels()[0].has_offset_u());
  EXPECT_EQ(simulated.channels()[0].offset_u(), 0);
}

TEST_F(MeterReadingsTest, ATareTellsHowFarTheZeroIsOff) {
  model_.resolution_w = 1e-6;
  const double count_w = 1e-6 / std::sqrt(12.0);
  settings_.tare_w = 0.5;
  settings_.tare_sd = 0.003;
  EXPECT_DOUBLE_EQ(Readings().channels()[0].offset_u(), std::hypot(0.003, count_w));
  // A current's is one at the voltage it was taken at, and the gain is applied after it.
  readings_.reset();
  settings_ = {};
  settings_.tare_a = 0.002;
  settings_.tare_sd = 0.0004;
  settings_.tare_v = 5;
  settings_.gain = 2;
  EXPECT_DOUBLE_EQ(Readings().channels()[0].offset_u(), 2 * std::hypot(0.002, count_w));
  // Without any voltage, and without how much it scattered, it is as it was.
  readings_.reset();
  settings_.tare_v.reset();
  EXPECT_FALSE(Readings().channels()[0].has_offset_u());
  readings_.reset();
  settings_.tare_v = 5;
  settings_.tare_sd.reset();
  EXPECT_FALSE(Readings().channels()[0].has_offset_u());
  // Samples that are all the same hide up to half a count.
  readings_.reset();
  settings_ = {};
  settings_.tare_w = 0.5;
  settings_.tare_sd = 0;
  EXPECT_DOUBLE_EQ(Readings().channels()[0].offset_u(), count_w);
}

TEST_F(MeterReadingsTest, TheScaleIsThePowerOfTenAtTheResolution) {
  model_.resolution_w = 1e-6;
  EXPECT_DOUBLE_EQ(Readings().channels()[0].scale(), 1e-6);
  readings_.reset();
  model_.resolution_w = 2.5e-5;
  EXPECT_DOUBLE_EQ(Readings().channels()[0].scale(), 1e-5);
}

TEST_F(MeterReadingsTest, AnAskedSampleIsStampedInTheMiddle) {
  Take({Sample(5, 2)}, 3'000'600, 3'000'000);
  EXPECT_THAT(Stamps(), ElementsAre(3'000'300));
  EXPECT_THAT(Watts(), ElementsAre(testing::DoubleNear(10, 1e-9)));
  EXPECT_EQ(Readings().counts().half_round_trip_ns, 300);
}

TEST_F(MeterReadingsTest, SamplesThatCameTogetherAreAPeriodApartAndOverlapsRise) {
  Take({Sample(5, 1), Sample(5, 1)}, 100 * kMs);
  EXPECT_THAT(Stamps(), ElementsAre(90 * kMs, 100 * kMs));
  Take({Sample(5, 1), Sample(5, 1)}, 105 * kMs);
  EXPECT_THAT(Stamps(), ElementsAre(90 * kMs, 100 * kMs, 100 * kMs + 1, 105 * kMs));
}

TEST_F(MeterReadingsTest, SignTareAndGain) {
  settings_.negate = true;
  settings_.gain = 1.1;
  settings_.tare_w = 0.5;
  Take({Sample(5, -2)}, kMs);
  EXPECT_NEAR(Watts()[0], 1.1 * (10 - 0.5), 1e-6);
}

TEST_F(MeterReadingsTest, ATareOfTheCurrentFollowsTheVoltage) {
  settings_.tare_a = 0.1;
  Take({Sample(5, 1)}, kMs);
  Take({Sample(10, 1)}, 2 * kMs);
  EXPECT_NEAR(Watts()[0], 5 * 0.9, 1e-6);
  EXPECT_NEAR(Watts()[1], 10 * 0.9, 1e-6);
}

TEST_F(MeterReadingsTest, ATareOfTheCurrentIsTakenOffThePowerThatTheMeterSends) {
  settings_.tare_a = 0.1;
  settings_.tare_at = "2026-11-21T19:00:00Z";
  MeterSample sample = Sample(5, 1);
  sample.power_w = 5.2;  // of another window
  Take({sample}, kMs);
  EXPECT_NEAR(Watts()[0], 5.2 - 0.5, 1e-6);
  EXPECT_THAT(Readings().channels()[0].description(),
              testing::HasSubstr("less a tare of 0.1 A taken 2026-11-21T19:00:00Z"));
}

TEST_F(MeterReadingsTest, WithoutAVoltageNothingIsGivenWithoutItsTare) {
  settings_.tare_a = 0.1;
  MeterSample sample;
  sample.power_w = 5;
  Take({sample}, kMs);
  EXPECT_THAT(Watts(), IsEmpty());
  EXPECT_EQ(lost_, 1);
}

TEST_F(MeterReadingsTest, AMeterThatFeedsTheDeviceTakesTheVoltageItWasSetTo) {
  settings_.supply_v = 3.7;
  MeterSample sample;
  sample.current_a = 2;
  Take({sample}, kMs);
  EXPECT_NEAR(Watts()[0], 7.4, 1e-6);
}

TEST_F(MeterReadingsTest, AVoltageThatNobodyMeasuresIsNoChannelAndHasAnUncertainty) {
  model_.measures_voltage = false;
  model_.needs_supply_v = true;
  settings_.supply_v = 4;
  MeterSample sample;
  sample.current_a = 2;
  sample.voltage_v = 4;  // as one says that was set to it
  Take({sample}, kMs);
  ASSERT_EQ(Readings().channels().size(), 1U);
  EXPECT_NEAR(Watts()[0], 8, 1e-6);
  EXPECT_EQ(out_.size(), 1U);
  EXPECT_DOUBLE_EQ(Readings().channels()[0].gain_u(), std::hypot(0.01, 0.02)) << "2 % of it";
  readings_.reset();
  settings_.supply_u_v = 0.2;
  EXPECT_DOUBLE_EQ(Readings().channels()[0].gain_u(), std::hypot(0.01, 0.05));
  EXPECT_THAT(Readings().channels()[0].description(), testing::HasSubstr("at 4 V ± 0.2 V"));
  // A gain that was calibrated is the current's.
  readings_.reset();
  settings_.gain_u = 0.001;
  EXPECT_DOUBLE_EQ(Readings().channels()[0].gain_u(), std::hypot(0.001, 0.05));
}

TEST_F(MeterReadingsTest, PartsThatTheFirstSampleNamesAreChannelsOfTheirOwnBelowIt) {
  model_.reach = MeterReach::kBoard;
  model_.offset_u_w = 0.01;
  settings_.gain = 2;
  EXPECT_EQ(Readings().channels().size(), 2U) << "nobody knows them yet";
  MeterSample refused = Sample(31, 1);
  refused.parts = {{"X", 1}};
  Take({refused}, 1);
  MeterSample sample = Sample(5, 1);
  sample.parts = {{"CPU", 1.5}, {"SOC", 0.5}};
  Take({sample}, kMs);
  sample.parts = {{"SOC", 0.25}, {"LATE", 3}};
  Take({sample}, 11 * kMs);
  const std::vector<v1::ChannelInfo>& channels = Readings().channels();
  ASSERT_EQ(channels.size(), 4U);
  for (const std::size_t i : {2, 3}) {
    EXPECT_EQ(channels[i].parent(), "m");
    EXPECT_EQ(channels[i].scope(), v1::SCOPE_BOARD_RAIL);
    EXPECT_EQ(channels[i].provenance(), v1::PROVENANCE_MEASURED);
    EXPECT_FALSE(channels[i].has_offset_u());
  }
  EXPECT_EQ(channels[2].name(), "m.CPU");
  EXPECT_EQ(channels[3].name(), "m.SOC");
  std::vector<std::pair<std::int64_t, double>> soc;
  int cpu = 0;
  for (const PowerReading& reading : out_) {
    cpu += reading.channel == 2 ? 1 : 0;
    if (reading.channel == 3)
      soc.emplace_back(reading.t_ns, static_cast<double>(reading.raw) * channels[3].scale());
  }
  EXPECT_EQ(cpu, 1) << "absent from a sample it has no value";
  EXPECT_THAT(soc, ElementsAre(testing::Pair(kMs, testing::DoubleNear(1, 1e-9)),
                               testing::Pair(11 * kMs, testing::DoubleNear(0.5, 1e-9))));
}

TEST_F(MeterReadingsTest, WhatLastsPeriodsFollowsTheRate) {
  model_.refresh_periods = 1.5;
  model_.smoothing_periods = 1;
  EXPECT_EQ(Readings().channels()[0].refresh_ns(), 17 * kMs);
  EXPECT_EQ(Readings().channels()[0].smoothing_ns(), 10 * kMs);
  readings_.reset();
  settings_.rate_hz = 10;
  EXPECT_EQ(Readings().channels()[0].refresh_ns(), 152 * kMs);
  EXPECT_EQ(Readings().channels()[0].smoothing_ns(), 100 * kMs);
}

TEST_F(MeterReadingsTest, VoltageAtMostTenTimesASecond) {
  for (int i = 0; i <= 25; ++i) Take({Sample(5, 1)}, i * 10 * kMs);
  EXPECT_EQ(std::count_if(out_.begin(), out_.end(),
                          [](const PowerReading& reading) { return reading.channel == 1; }),
            3);
}

TEST_F(MeterReadingsTest, WhatAMeterCannotMeasureIsRefusedAndCounted) {
  Take({Sample(31, 1)}, kMs);
  Take({Sample(5, -6)}, 2 * kMs);
  Take({Sample(std::numeric_limits<double>::quiet_NaN(), 1)}, 3 * kMs);
  MeterSample nothing;
  nothing.voltage_v = 5;
  Take({nothing}, 4 * kMs);
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_EQ(Readings().counts().out_of_range, 4);
  EXPECT_EQ(lost_, 4);
}

TEST_F(MeterReadingsTest, WhatTheDriverLostIsPassedOn) {
  MeterBatch batch;
  batch.lost = 3;
  batch.rejected = 2;
  Readings().Take(batch, out_, pairs_, lost_);
  EXPECT_EQ(lost_, 3);
  EXPECT_EQ(Readings().counts().rejected, 2);
  EXPECT_EQ(Readings().counts().lost, 3);
}

TEST_F(MeterReadingsTest, TheRateOfDistinctValues) {
  EXPECT_EQ(Readings().counts().distinct_hz, std::nullopt);
  // Each value comes twice.
  for (int i = 0; i <= 100; ++i) Take({Sample(5, 1 + i / 2 * 0.001)}, i * 10 * kMs);
  EXPECT_NEAR(*Readings().counts().distinct_hz, 50, 1e-9);
}

class TickedReadingsTest : public MeterReadingsTest {
 protected:
  TickedReadingsTest() {
    model_.own_clock = true;
    Readings().Restart();
  }
};

TEST_F(TickedReadingsTest, ChannelsNameTheirClock) {
  for (const v1::ChannelInfo& channel : Readings().channels())
    EXPECT_EQ(channel.clock(), "meter:test:1");
}

TEST_F(TickedReadingsTest, TicksAreKeptAndPairedWithArrivals) {
  TakeTicked(7'000 * kMs, 50 * kMs);
  TakeTicked(7'010 * kMs, 63 * kMs);
  EXPECT_THAT(Stamps(), ElementsAre(7'000 * kMs, 7'010 * kMs));
  EXPECT_EQ(out_[0].arrived_ns, 50 * kMs);
  EXPECT_EQ(out_[0].seen_ns(), 50 * kMs);
  ASSERT_EQ(pairs_.size(), 1U);
  EXPECT_EQ(pairs_[0].tick_ns, 7'000 * kMs);
  EXPECT_EQ(pairs_[0].arrived_ns, 50 * kMs);
  EXPECT_TRUE(pairs_[0].restarted);
}

TEST_F(TickedReadingsTest, OfATenthOfASecondThePairThatCameFastest) {
  TakeTicked(0, 10 * kMs);
  for (int i = 1; i <= 25; ++i)
    TakeTicked(i * 10 * kMs, i * 10 * kMs + (i % 10 == 5 ? 1 : 4) * kMs);
  ASSERT_EQ(pairs_.size(), 3U);
  EXPECT_TRUE(pairs_[0].restarted);
  EXPECT_EQ(pairs_[1].tick_ns, 50 * kMs);
  EXPECT_EQ(pairs_[2].tick_ns, 150 * kMs);
  EXPECT_FALSE(pairs_[2].restarted);
}

TEST_F(TickedReadingsTest, TicksThatDoNotRiseAreRefused) {
  TakeTicked(20 * kMs, 50 * kMs);
  TakeTicked(20 * kMs, 60 * kMs);
  TakeTicked(10 * kMs, 70 * kMs);
  EXPECT_THAT(Stamps(), ElementsAre(20 * kMs));
  EXPECT_EQ(Readings().counts().out_of_order, 2);
  EXPECT_EQ(lost_, 2);
}

TEST_F(TickedReadingsTest, AfterARestartTimeGoesOnAndThePairSaysSo) {
  TakeTicked(9'000 * kMs, 50 * kMs);
  Readings().Restart();
  TakeTicked(3 * kMs, 1'050 * kMs);
  TakeTicked(13 * kMs, 1'060 * kMs);
  EXPECT_THAT(Stamps(), ElementsAre(9'000 * kMs, 10'000 * kMs, 10'010 * kMs));
  ASSERT_EQ(pairs_.size(), 2U);
  EXPECT_TRUE(pairs_[1].restarted);
  EXPECT_EQ(pairs_[1].tick_ns, 10'000 * kMs);
}

TEST_F(TickedReadingsTest, AClockThatSteppedIsABorderToo) {
  TakeTicked(100 * kMs, 150 * kMs);
  MeterBatch batch;
  batch.samples = {Sample(5, 1)};
  batch.samples[0].t_ns = 300 * kMs;
  batch.arrived_ns = 355 * kMs;
  batch.clock_stepped = true;
  Readings().Take(batch, out_, pairs_, lost_);
  EXPECT_EQ(Stamps().size(), 2U);
  ASSERT_EQ(pairs_.size(), 2U);
  EXPECT_TRUE(pairs_[1].restarted);
  EXPECT_EQ(pairs_[1].tick_ns, Stamps()[1]);
}

}  // namespace
}  // namespace joulefarm::agent
