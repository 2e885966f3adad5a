#include "agent/run/gates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

DeviceState Cool() {
  DeviceState device;
  device.zones = {{"cpu-thermal", 40.5}, {"gpu-thermal", 38}};
  device.batteries = {{"BAT0", 80, false}};
  device.background_cpu = 0.02;
  device.available_bytes = 4096 * kMiB;
  return device;
}

GateWishes AllGates() {
  GateWishes wishes;
  wishes.spec.set_max_temp_c(45);
  wishes.spec.set_min_battery_pct(30);
  wishes.spec.set_max_background_cpu(0.1);
  wishes.spec.set_not_charging(true);
  wishes.reference_temp_c = 40;
  wishes.model_bytes = 1000 * kMiB;
  return wishes;
}

GateFinding Only(const std::vector<GateFinding>& findings) {
  EXPECT_EQ(findings.size(), 1u);
  return findings.empty() ? GateFinding{} : findings.front();
}

TEST(GatesTest, AllMet) {
  EXPECT_THAT(JudgeGates(AllGates(), Cool()), IsEmpty());
  EXPECT_THAT(GateRemarks(AllGates(), Cool()), IsEmpty());
}

TEST(GatesTest, WithoutWishesNothingIsLookedAt) {
  EXPECT_THAT(JudgeGates({}, DeviceState{}), IsEmpty());
  GateWishes no_gate;
  no_gate.spec.set_not_charging(false);
  EXPECT_THAT(JudgeGates(no_gate, DeviceState{{}, {{"BAT0", {}, {}}}, {}, {}, {}}), IsEmpty());
}

TEST(GatesTest, TheHottestZoneCounts) {
  GateWishes wishes;
  wishes.spec.set_max_temp_c(45);
  DeviceState device = Cool();
  device.zones.push_back({"soc", 45});
  EXPECT_THAT(JudgeGates(wishes, device), IsEmpty());
  device.zones.push_back({"tj", 61.24});
  const GateFinding finding = Only(JudgeGates(wishes, device));
  EXPECT_EQ(finding.gate, "max_temp_c");
  EXPECT_EQ(finding.text, "gate max_temp_c: tj has 61.2 °C > 45 °C");
  EXPECT_EQ(finding.failure_class, v1::FAILURE_CLASS_THERMAL);
  EXPECT_FALSE(finding.unreadable);
}

TEST(GatesTest, TheReferenceTemperatureHasTwoDegreesEitherWay) {
  GateWishes wishes;
  wishes.reference_temp_c = 40;
  for (const auto& [temp_c, met] : {std::pair{38.0, true}, std::pair{42.0, true},
                                    std::pair{37.9, false}, std::pair{42.1, false}}) {
    DeviceState device;
    device.zones = {{"tj", temp_c}};
    const std::vector<GateFinding> findings = JudgeGates(wishes, device);
    EXPECT_EQ(findings.empty(), met) << temp_c;
    if (met) continue;
    EXPECT_EQ(Only(findings).failure_class, v1::FAILURE_CLASS_THERMAL);
    EXPECT_THAT(Only(findings).text, HasSubstr("runs start at 40 ± 2 °C"));
  }
}

TEST(GatesTest, EveryBatteryCounts) {
  DeviceState device = Cool();
  device.batteries.push_back({"BAT1", 29.5, true});
  GateWishes wishes;
  wishes.spec.set_min_battery_pct(30);
  EXPECT_EQ(Only(JudgeGates(wishes, device)).text,
            "gate min_battery_pct: battery BAT1 has 29.5 % < 30 %");
  EXPECT_EQ(Only(JudgeGates(wishes, device)).failure_class, v1::FAILURE_CLASS_DEVICE);
  wishes.spec.set_not_charging(true);
  const std::vector<GateFinding> findings = JudgeGates(wishes, device);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[1].text, "gate not_charging: battery BAT1 is being charged");
}

TEST(GatesTest, ADeviceWithoutABatteryIsSaidToHaveNone) {
  GateWishes wishes;
  wishes.spec.set_min_battery_pct(30);
  wishes.spec.set_not_charging(true);
  EXPECT_THAT(JudgeGates(wishes, DeviceState{}), IsEmpty());
  EXPECT_THAT(GateRemarks(wishes, DeviceState{}),
              ElementsAre("gate min_battery_pct: this device has no battery"));
}

TEST(GatesTest, BusyProcessorsDelay) {
  GateWishes wishes;
  wishes.spec.set_max_background_cpu(0.1);
  DeviceState device = Cool();
  device.background_cpu = 0.1;
  EXPECT_THAT(JudgeGates(wishes, device), IsEmpty());
  device.background_cpu = 0.314;
  EXPECT_EQ(Only(JudgeGates(wishes, device)).text,
            "gate max_background_cpu: others use 31.4 % of all cores > 10 %");
}

TEST(GatesTest, TheModelMustFitIntoFreeMemory) {
  GateWishes wishes;
  wishes.model_bytes = 4096 * kMiB;
  EXPECT_THAT(JudgeGates(wishes, Cool()), IsEmpty());
  wishes.model_bytes = 5000 * kMiB;
  const GateFinding finding = Only(JudgeGates(wishes, Cool()));
  EXPECT_EQ(finding.text, "gate free_memory: 4096 MiB are available, the model has 5000 MiB");
  EXPECT_EQ(finding.failure_class, v1::FAILURE_CLASS_DEVICE);
  // Nobody asked for this gate: that it cannot be judged is said, and stops nothing.
  EXPECT_THAT(JudgeGates(wishes, DeviceState{}), IsEmpty());
  EXPECT_THAT(GateRemarks(wishes, DeviceState{}),
              ElementsAre(HasSubstr("free_memory: not judged")));
}

TEST(GatesTest, WhatCannotBeReadIsNeverMetAndComesFirst) {
  DeviceState blind;
  blind.batteries = {{"BAT0", {}, {}}};
  GateWishes wishes = AllGates();
  wishes.model_bytes = 0;
  std::vector<std::string> gates;
  for (const GateFinding& finding : JudgeGates(wishes, blind)) {
    EXPECT_TRUE(finding.unreadable) << finding.text;
    EXPECT_EQ(finding.failure_class, v1::FAILURE_CLASS_DEVICE);
    EXPECT_THAT(finding.text, HasSubstr("cannot be read on this device"));
    gates.push_back(finding.gate);
  }
  EXPECT_THAT(gates, ElementsAre("max_temp_c", "reference_temp_c", "min_battery_pct",
                                 "not_charging", "max_background_cpu"));
  // A gate that only needs patience stands behind.
  DeviceState hot = Cool();
  hot.zones[0].temp_c = 90;
  hot.background_cpu.reset();
  wishes.reference_temp_c.reset();
  const std::vector<GateFinding> findings = JudgeGates(wishes, hot);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].gate, "max_background_cpu");
  EXPECT_EQ(findings[1].gate, "max_temp_c");
}

}  // namespace
}  // namespace joulefarm::agent
