#include "agent/power/meter_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(MeterEventsTest, WhatIsNotKnownStaysAbsent) {
  MeterReport meter;
  meter.id = "meter:km003c:A1";
  meter.model = "km003c";
  const v1::MeterRecord record = MeterRecordOf(meter, "edge");
  EXPECT_EQ(record.resource_id(), "meter:km003c:A1");
  EXPECT_EQ(record.agent_id(), "edge");
  EXPECT_FALSE(record.has_serial());
  EXPECT_FALSE(record.has_firmware());
  EXPECT_FALSE(record.has_gain());
  EXPECT_FALSE(record.has_tare_w());
  EXPECT_FALSE(record.has_cable_ohm());
  const v1::MeterStats stats = MeterStatsOf(meter);
  EXPECT_FALSE(stats.has_distinct_hz());
  EXPECT_FALSE(stats.has_half_round_trip_ns());
}

TEST(MeterEventsTest, ATareOfACurrentIsRecordedAsThePowerItStoodFor) {
  MeterReport meter;
  meter.settings.tare_a = 0.002;
  meter.settings.tare_at = "2026-11-21T19:00:00Z";
  const v1::MeterRecord unpowered = MeterRecordOf(meter, "");
  EXPECT_FALSE(unpowered.has_tare_w());
  EXPECT_EQ(unpowered.tare_at(), "2026-11-21T19:00:00Z");
  meter.settings.tare_v = 5;
  EXPECT_DOUBLE_EQ(MeterRecordOf(meter, "").tare_w(), 0.01);
}

TEST(MeterEventsTest, WhatTheOperatorStatesAndWhatWasCounted) {
  MeterReport meter;
  meter.serial = "A1";
  meter.settings.negate = true;
  meter.settings.gain = 1.01;
  meter.settings.tare_w = 0.02;
  meter.settings.tare_at = "2026-11-21T19:00:00Z";
  meter.settings.sense_point = "device";
  meter.counts = {.samples = 10,
                  .lost = 3,
                  .rejected = 1,
                  .out_of_range = 2,
                  .out_of_order = 4,
                  .overflowed = 0,
                  .reopened = 5,
                  .distinct_hz = 499.5,
                  .half_round_trip_ns = 300'000};
  meter.trouble = "it was unplugged";
  const v1::MeterRecord record = MeterRecordOf(meter, "");
  EXPECT_EQ(record.serial(), "A1");
  EXPECT_TRUE(record.reversed());
  EXPECT_EQ(record.gain(), 1.01);
  EXPECT_EQ(record.tare_w(), 0.02);
  EXPECT_EQ(record.tare_at(), "2026-11-21T19:00:00Z");
  EXPECT_EQ(record.sense_point(), "device");
  const v1::MeterStats stats = MeterStatsOf(meter);
  EXPECT_EQ(stats.samples(), 10);
  EXPECT_EQ(stats.lost(), 3);
  EXPECT_EQ(stats.rejected(), 7);
  EXPECT_EQ(stats.reopened(), 5);
  EXPECT_EQ(stats.distinct_hz(), 499.5);
  EXPECT_EQ(stats.half_round_trip_ns(), 300'000);
  EXPECT_EQ(stats.trouble(), "it was unplugged");
}

TEST(MeterEventsTest, ARestartBeginsAStretch) {
  EXPECT_THAT(MeterTicksOf("m", {}), IsEmpty());
  const std::vector<v1::MeterTicks> ticks = MeterTicksOf(
      "m", {{1, {}, 11, false}, {2, {}, 12, false}, {100, {}, 20, true}, {101, {}, 21, false}});
  ASSERT_EQ(ticks.size(), 2U);
  EXPECT_EQ(ticks[0].clock(), "m");
  EXPECT_FALSE(ticks[0].restarted());
  EXPECT_THAT(ticks[0].tick_ns(), ElementsAre(1, 2));
  EXPECT_THAT(ticks[0].arrived_ns(), ElementsAre(11, 12));
  EXPECT_TRUE(ticks[1].restarted());
  EXPECT_THAT(ticks[1].tick_ns(), ElementsAre(100, 101));
}

}  // namespace
}  // namespace joulefarm::agent
