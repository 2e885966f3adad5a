// What a meter states of itself, and what lies between it and the device, in the energies.
#include <algorithm>
#include <cmath>
#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/controller/ingest/attempt_builder.h"

namespace joulefarm::controller {
namespace {

using attempt_builder::Attempt;
using attempt_builder::Find;
using attempt_builder::kMs;
using attempt_builder::kNone;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::StartsWith;

// 2 W, from 4 s on 12 W: a phase from 3.5 s to 4.5 s has one step inside.
constexpr std::int64_t kStepMs = 4'000;

Attempt WithStep() {
  Attempt attempt;
  attempt.Phase(v1::PHASE_LOAD, 3'500, 4'500);
  return attempt;
}

const EnergyResult& Load(const AttemptResults& results) {
  return *Find(results, "meter", kNone, kNone, v1::PHASE_LOAD);
}

v1::ChannelInfo& Meter(Attempt& attempt, const std::function<std::int64_t(std::int64_t)>& raw) {
  attempt.Samples("meter", 0, 10'000, 1, raw);
  v1::ChannelInfo& info = attempt.Channel("meter", v1::QUANTITY_POWER_W, 1e-3);
  info.set_nominal_hz(1000);
  info.set_primary(true);
  return info;
}

TEST(FinaliserMeterTest, TheGroupDelayOfAnAverageIsRemoved) {
  Attempt attempt = WithStep();
  constexpr std::int64_t kSmoothingMs = 40;
  Meter(attempt, [=](std::int64_t t) -> std::int64_t {
    const std::int64_t high = std::clamp(t - kStepMs, std::int64_t{0}, kSmoothingMs);
    return 2'000 + 10'000 * high / kSmoothingMs;
  }).set_smoothing_ns(kSmoothingMs * kMs);
  const AttemptResults results = attempt.Finalised();
  // 20 ms late the step would cost 0.2 J.
  EXPECT_NEAR(*Load(results).energy_j, 0.5 * 2 + 0.5 * 12, 1e-9);
  EXPECT_NEAR(*Load(results).parts.counter_j, 0.25e-3 * std::sqrt(40 / 12.0 + 39 / 0.8973424), 1e-4)
      << "the edges are farther from the step than it smooths: what is left is that of the samples";
}

TEST(FinaliserMeterTest, AStepNearAnEdgeMakesAnAverageUncertainAndAShortPhaseInvalid) {
  for (const auto& [end_ms, valid] : {std::pair{std::int64_t{14'000}, true}, {4'300, false}}) {
    Attempt attempt;
    attempt.data().final.set_ended_ns(20'000 * kMs);
    attempt.Phase(v1::PHASE_LOAD, kStepMs + 10, end_ms);
    attempt.Samples("meter", 0, 20'000, 1, [](std::int64_t t) -> std::int64_t {
      const std::int64_t high = std::clamp<std::int64_t>(t - kStepMs, 0, 40);
      return 2'000 + 10'000 * high / 40;
    });
    v1::ChannelInfo& info = attempt.Channel("meter", v1::QUANTITY_POWER_W, 1e-3);
    info.set_nominal_hz(1000);
    info.set_smoothing_ns(40 * kMs);
    const EnergyResult load = Load(attempt.Finalised());
    EXPECT_EQ(load.energy_j.has_value(), valid);
    if (valid) {
      EXPECT_NEAR(*load.parts.counter_j, 0.04 * 10, 0.01);
    } else {
      EXPECT_THAT(load.reasons, Contains(StartsWith("smoothing:")));
      EXPECT_EQ(load.quality, v1::QUALITY_INVALID);
    }
  }
}

TEST(FinaliserMeterTest, AConstantLatencyIsRemovedAndItsUncertaintyIsABoundOfTheStamps) {
  Attempt attempt = WithStep();
  v1::ChannelInfo& info = Meter(
      attempt, [](std::int64_t t) -> std::int64_t { return t < kStepMs + 30 ? 2'000 : 12'000; });
  info.set_latency_ns(30 * kMs);
  info.set_latency_u_ns(2 * kMs);
  info.set_stamp_bound_ns(3 * kMs);
  const EnergyResult load = Load(attempt.Finalised());
  // The step lies in the millisecond before the first sample that shows it.
  EXPECT_NEAR(*load.energy_j, 0.5 * 2 + 0.5 * 12 + 0.5e-3 * 10, 1e-9);
  // A common shift of 5 ms exchanges power at the end for power at the start.
  EXPECT_NEAR(*load.parts.clock_j, 5e-3 * 10, 1e-9);
}

TEST(FinaliserMeterTest, WhatACableTakesIsInTheUncertaintyAndTheEnergyStays) {
  Attempt attempt = WithStep();
  Meter(attempt, [](std::int64_t t) -> std::int64_t {
    return t < kStepMs ? 2'000 : 12'000;
  }).set_meter("meter:x:1");
  attempt.Channel("meter.voltage", v1::QUANTITY_VOLTAGE_V, 1e-3).clear_scope();
  // Its last value comes before the power's.
  attempt.Samples("meter.voltage", 0, 9'900, 100, [](std::int64_t) { return 5'000; });
  v1::MeterRecord& record = *attempt.Event().mutable_meter();
  record.set_resource_id("meter:x:1");
  record.set_sense_point("meter");
  record.set_cable_ohm(0.2);
  const EnergyResult load = Load(attempt.Finalised());
  EXPECT_NEAR(*load.energy_j, 7 + 0.5e-3 * 10, 1e-9);
  EXPECT_NEAR(*load.mean_v, 5, 1e-12);
  EXPECT_NEAR(*Find(attempt.Finalised(), "meter", kNone, kNone, kNone)->mean_v, 5, 1e-12);
  const double cable_j = 0.2 * (0.4 * 0.4 * 0.5 + 2.4 * 2.4 * 0.5);
  EXPECT_NEAR(*load.parts.cable_j, cable_j, 1e-3 * cable_j);
  EXPECT_NEAR(*load.energy_u_j,
              std::hypot(*load.parts.gain_j, *load.parts.cable_j, *load.parts.counter_j), 1e-9);
  EXPECT_THAT(load.reasons, Contains(StartsWith("cable:")));

  record.set_sense_point("device");
  EXPECT_FALSE(Load(attempt.Finalised()).parts.cable_j);
  record.set_sense_point("meter");
  record.set_cable_ohm(0.01);
  EXPECT_THAT(Load(attempt.Finalised()).reasons, Not(Contains(StartsWith("cable:"))));
  EXPECT_TRUE(Load(attempt.Finalised()).parts.cable_j);
}

TEST(FinaliserMeterTest, TheCalibrationOfTheMeterGoesBeforeWhatItsModelStates) {
  Attempt attempt = WithStep();
  v1::ChannelInfo& info = Meter(attempt, [](std::int64_t) { return 4'000; });
  info.set_meter("meter:x:1");
  info.clear_gain_u();
  EXPECT_THAT(Load(attempt.Finalised()).reasons, ElementsAre("gain_unknown"));
  v1::MeterRecord& record = *attempt.Event().mutable_meter();
  record.set_resource_id("meter:x:1");
  EXPECT_THAT(Load(attempt.Finalised()).reasons, ElementsAre("gain_unknown"));
  record.set_gain_u(0.002);
  EXPECT_NEAR(*Load(attempt.Finalised()).parts.gain_j, 0.002 * 4, 1e-12);
  EXPECT_EQ(Load(attempt.Finalised()).quality, v1::QUALITY_VALID);
}

TEST(FinaliserMeterTest, AMeterWhoseZeroNobodyStatesHasNoUncertainty) {
  Attempt attempt = WithStep();
  v1::ChannelInfo& info = Meter(attempt, [](std::int64_t) { return 4'000; });
  info.clear_offset_u();
  const EnergyResult load = Load(attempt.Finalised());
  EXPECT_THAT(load.reasons, ElementsAre("offset_unknown"));
  EXPECT_EQ(load.quality, v1::QUALITY_SUSPECT);
  EXPECT_TRUE(load.energy_j);
  EXPECT_FALSE(load.energy_u_j);
  EXPECT_FALSE(load.parts.offset_j);
  info.set_offset_u(0.01);
  EXPECT_NEAR(*Load(attempt.Finalised()).parts.offset_j, 0.01, 1e-9);
  EXPECT_EQ(Load(attempt.Finalised()).quality, v1::QUALITY_VALID);
}

// A meter before the battery: the charger gives 6 W throughout, the battery takes what the device
// (2 W, then 12 W) leaves of it.
Attempt BehindABattery(const std::function<std::int64_t(std::int64_t)>& battery_mw) {
  Attempt attempt = WithStep();
  Meter(attempt, [](std::int64_t) { return 6'000; });
  attempt.Event().mutable_facts()->set_power_path("inline_battery_present");
  v1::ChannelInfo& battery = attempt.Channel("BAT0", v1::QUANTITY_POWER_W, 1e-3);
  battery.set_scope(v1::SCOPE_BATTERY);
  battery.set_gain_u(0.02);
  attempt.Samples("BAT0", 0, 10'000, 10, battery_mw);
  return attempt;
}

TEST(FinaliserMeterTest, TheBatterysOwnGaugeCorrectsAMeterBeforeIt) {
  const Attempt attempt = BehindABattery([](std::int64_t t) -> std::int64_t {
    return (t < kStepMs ? -4'000 : 6'000) + t / 10 % 2;  // alive
  });
  const EnergyResult load = Load(attempt.Finalised());
  EXPECT_NEAR(*load.energy_j, 7, 0.06);
  EXPECT_THAT(load.reasons, ElementsAre(StartsWith("battery_corrected:+1")));
  EXPECT_EQ(load.quality, v1::QUALITY_SUSPECT);
  EXPECT_NEAR(*load.parts.gain_j, std::hypot(0.01 * 6, 0.02 * 1), 0.002);
  EXPECT_FALSE(load.peak_w);
  EXPECT_NEAR(*load.mean_w, 7, 0.06);
}

TEST(FinaliserMeterTest, AGaugeThatSaysNothingCorrectsNothing) {
  const EnergyResult stuck = Load(BehindABattery([](std::int64_t) { return -4'000; }).Finalised());
  EXPECT_NEAR(*stuck.energy_j, 6, 1e-9);
  EXPECT_THAT(stuck.reasons, Contains("battery_in_path:BAT0: smoothing:0 changes<1"));
  EXPECT_EQ(stuck.quality, v1::QUALITY_INVALID);
  const EnergyResult slow = Load(BehindABattery([](std::int64_t t) -> std::int64_t {
                                   return t / 900 % 2 == 0 ? -4'000 : 6'000;
                                 }).Finalised());
  EXPECT_THAT(slow.reasons, Contains(StartsWith("battery_in_path:BAT0: smoothing:")));
  EXPECT_EQ(slow.quality, v1::QUALITY_INVALID);
}

TEST(FinaliserMeterTest, TwoGaugesThatNobodyAddsUpCorrectNothing) {
  Attempt attempt = BehindABattery([](std::int64_t t) { return -4'000 + t / 10 % 2; });
  v1::ChannelInfo& second = attempt.Channel("BAT1", v1::QUANTITY_POWER_W, 1e-3);
  second.set_scope(v1::SCOPE_BATTERY);
  attempt.Samples("BAT1", 0, 10'000, 10, [](std::int64_t t) { return t / 10 % 2; });
  EXPECT_THAT(Load(attempt.Finalised()).reasons, Contains("battery_in_path:no gauge"));
}

}  // namespace
}  // namespace joulefarm::controller
