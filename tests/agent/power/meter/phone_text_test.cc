// ODPM, dumpsys battery and powermetrics: text of several lines for each sample.
#include "tests/agent/power/meter/vectors/phone_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "agent/power/meter/dumpsys_battery.h"
#include "agent/power/meter/odpm.h"
#include "agent/power/meter/powermetrics.h"
#include "tests/agent/power/meter/text_frames.h"

namespace joulefarm::agent {
namespace {

using namespace phone_text;  // NOLINT: the frames this is about

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(OdpmTest, ASampleForEachReading) {
  const std::vector<MeterSample> samples = DecodeText(OdpmModel(), kOdpm);
  ASSERT_THAT(samples, SizeIs(2));
  EXPECT_EQ(samples[0].t_ns, 358'356'000'000);
  EXPECT_THAT(samples[0].more, ElementsAre(std::pair("S10M_VDD_TPU_j", 0.76133),
                                           std::pair("VSYS_PWR_MODEM_j", 48.689)));
  EXPECT_EQ(samples[0].power_w, std::nullopt) << "no rail is the whole phone";
  EXPECT_EQ(samples[1].t_ns, 358'457'000'000);
  EXPECT_THAT(samples[1].more, ElementsAre(std::pair("S10M_VDD_TPU_j", 0.761431)));
}

TEST(OdpmTest, WhatIsNotItsFormatIsRefused) {
  const auto refused = [](const std::string& text) {
    std::vector<std::string> refusals;
    EXPECT_THAT(DecodeText(OdpmModel(), text, &refusals), IsEmpty()) << text;
    EXPECT_THAT(refusals, SizeIs(1)) << text;
    return refusals.empty() ? "" : refusals[0];
  };
  EXPECT_THAT(refused("t=1\nCH0(T=1)[A] 2"), HasSubstr("no rail and its energy"));
  EXPECT_THAT(refused("t=1\nCH0(T=1)[A], -2"), HasSubstr("no rail and its energy"));
  EXPECT_THAT(refused("t=1\nCH0(T=1)[A], 99999999999999999999"), HasSubstr("no rail"));
  EXPECT_THAT(refused("t=soon"), HasSubstr("no time in ms"));
  EXPECT_THAT(refused("t=99999999999999999"), HasSubstr("no time in ms"));
  EXPECT_THAT(refused("energy"), HasSubstr("neither a time nor a rail"));
  std::vector<std::string> refusals;
  EXPECT_THAT(DecodeText(OdpmModel(), "t=1\nCH0(T=1)[A], 2\nCH0(T=1)[A], 3", &refusals), SizeIs(1));
  EXPECT_THAT(refusals, ElementsAre(HasSubstr("second time")));
}

TEST(OdpmTest, WithoutALineOfTimeThereIsNone) {
  std::vector<MeterSample> samples =
      DecodeText(OdpmModel(), "CH0(T=1)[A], 2\nCH1(T=1)[B], 3\nCH0(T=2)[A], 4\n");
  ASSERT_THAT(samples, SizeIs(2));
  EXPECT_EQ(samples[0].t_ns, std::nullopt);
  EXPECT_THAT(samples[0].more, ElementsAre(std::pair("A_j", 2e-6), std::pair("B_j", 3e-6)));
  EXPECT_THAT(samples[1].more, ElementsAre(std::pair("A_j", 4e-6)));
  std::vector<std::string> refusals;
  samples = DecodeText(OdpmModel(), "t=1\nCH0(T=1)[A], 2\nt=1z\nCH1(T=1)[B], 3\n", &refusals);
  EXPECT_THAT(refusals, SizeIs(1));
  ASSERT_THAT(samples, SizeIs(2)) << "a damaged time is not that of the reading before";
  EXPECT_EQ(samples[1].t_ns, std::nullopt);
}

TEST(OdpmTest, TheListOfRailsIsNoSample) {
  EXPECT_THAT(DecodeText(OdpmModel(), "CH0[S10M_VDD_TPU]:TPU\nCH1[VSYS_PWR_MODEM]:Modem\n"),
              IsEmpty());
}

TEST(DumpsysBatteryTest, ADump) {
  const std::vector<MeterSample> samples = DecodeText(DumpsysBatteryModel(), kDump);
  ASSERT_THAT(samples, SizeIs(1));
  EXPECT_EQ(samples[0].voltage_v, 4.387);
  EXPECT_EQ(samples[0].current_a, std::nullopt);
  EXPECT_EQ(samples[0].power_w, std::nullopt);
  EXPECT_THAT(
      samples[0].more,
      ElementsAre(std::pair("ac_powered", 0.0), std::pair("usb_powered", 1.0),
                  std::pair("wireless_powered", 0.0), std::pair("max_charging_current_a", 3.0),
                  std::pair("max_charging_voltage_v", 5.0), std::pair("charge_ah", 3.991656),
                  std::pair("status", 3.0), std::pair("health", 2.0), std::pair("level_pct", 96.0),
                  std::pair("temperature_c", 30.0)));
}

TEST(DumpsysBatteryTest, UnitsByTheirSize) {
  const auto sample = [](const std::string& voltage, const std::string& current) {
    const std::vector<MeterSample> samples =
        DecodeText(DumpsysBatteryModel(), "voltage: " + voltage + "\ncurrent now: " + current);
    EXPECT_THAT(samples, SizeIs(1));
    return samples[0];
  };
  EXPECT_EQ(sample("4387", "-326171").current_a, -0.326171) << "µA";
  EXPECT_EQ(sample("4387", "-326").current_a, -0.326) << "mA";
  EXPECT_EQ(sample("4387", "0").current_a, 0);
  EXPECT_EQ(sample("4387123", "1").voltage_v, 4.387123) << "µV";
  EXPECT_EQ(sample("4", "1").voltage_v, 4) << "V";
}

TEST(DumpsysBatteryTest, PowerIsWhatIsDrawnFromTheBattery) {
  const auto sample = [](const std::string& status, const std::string& current) {
    return DecodeText(DumpsysBatteryModel(),
                      "status: " + status + "\nvoltage: 4000\ncurrent now: " + current)
        .at(0);
  };
  const MeterSample discharging = sample("3", "-500000");
  EXPECT_DOUBLE_EQ(discharging.power_w.value_or(0), 2);
  EXPECT_EQ(discharging.current_a, -0.5) << "as the source gives it";
  const MeterSample charging = sample("2", "500000");
  EXPECT_DOUBLE_EQ(charging.power_w.value_or(0), -2);
  EXPECT_EQ(charging.current_a, 0.5);
  EXPECT_FALSE(std::signbit(sample("4", "0").power_w.value_or(1)));
}

TEST(DumpsysBatteryTest, ASignThatTheStatusContradicts) {
  const auto doubtful = [](const std::string& text) {
    return More(DecodeText(DumpsysBatteryModel(), text).at(0), "sign_doubtful");
  };
  EXPECT_EQ(doubtful("status: 2\ncurrent now: -326171"), 1) << "charging";
  EXPECT_EQ(doubtful("status: 3\ncurrent now: 326171"), 1) << "discharging";
  EXPECT_EQ(doubtful("status: 3\ncurrent now: -326171"), std::nullopt);
  EXPECT_EQ(doubtful("status: 4\ncurrent now: 976"), std::nullopt) << "neither";
}

TEST(DumpsysBatteryTest, DumpsBehindEachOther) {
  EXPECT_THAT(DecodeText(DumpsysBatteryModel(), std::string(kDump) + kDump), SizeIs(2));
  const std::vector<MeterSample> bare =
      DecodeText(DumpsysBatteryModel(), "voltage: 4000\nstatus: 3\nvoltage: 4100\nstatus: 3");
  ASSERT_THAT(bare, SizeIs(2));
  EXPECT_EQ(bare[1].voltage_v, 4.1);
}

TEST(DumpsysBatteryTest, WhatCannotBeIsRefused) {
  const auto refusal = [](const std::string& line) {
    std::vector<std::string> refusals;
    DecodeText(DumpsysBatteryModel(), line, &refusals);
    EXPECT_THAT(refusals, SizeIs(1)) << line;
    return refusals.empty() ? "" : refusals[0];
  };
  EXPECT_THAT(refusal("voltage: 0"), HasSubstr("no battery's voltage"));
  EXPECT_THAT(refusal("voltage: 43 87"), HasSubstr("no number"));
  EXPECT_THAT(refusal("current now: 90000000"), HasSubstr("no phone's current"));
  EXPECT_THAT(refusal("status: 99999999999"), HasSubstr("no status"));
  EXPECT_THAT(refusal("status: -1"), HasSubstr("no status"));
  EXPECT_THAT(refusal("AC powered: maybe"), HasSubstr("neither true nor false"));
  EXPECT_THAT(refusal("Can't find service: battery"), HasSubstr("no line of dumpsys battery"));
}

TEST(PowermetricsTest, ASampleForEachBlock) {
  const std::vector<MeterSample> samples = DecodeText(PowermetricsModel(), kPowermetrics);
  ASSERT_THAT(samples, SizeIs(2));
  EXPECT_EQ(samples[0].power_w, 1.473);
  EXPECT_THAT(
      samples[0].more,
      ElementsAre(std::pair("elapsed_s", 1.00345), std::pair("e_cluster_w", 0.023),
                  std::pair("cpu_w", 0.947), std::pair("gpu_w", 0.153), std::pair("ane_w", 0.0),
                  std::pair("dram_w", 0.22), std::pair("package_w", 1.473)));
  EXPECT_EQ(samples[1].power_w, 0.5);
  EXPECT_EQ(More(samples[1], "combined_w"), 0.5);
}

TEST(PowermetricsTest, ATimeThatIsNoneIsAbsent) {
  const std::vector<MeterSample> samples =
      DecodeText(PowermetricsModel(),
                 "*** Sampled system activity (Mon) (-3.5ms elapsed) ***\nPackage Power: 5 mW\n");
  ASSERT_THAT(samples, SizeIs(1));
  EXPECT_EQ(More(samples[0], "elapsed_s"), std::nullopt);
}

TEST(PowermetricsTest, LinesOfPowerAlone) {
  const std::vector<MeterSample> samples =
      DecodeText(PowermetricsModel(), "CPU Power: 947 mW\nGPU Power: 153 mW\nCPU Power: 1 mW\n");
  ASSERT_THAT(samples, SizeIs(2));
  EXPECT_EQ(samples[0].power_w, std::nullopt) << "a sum of parts is no total";
  EXPECT_EQ(More(samples[1], "cpu_w"), 0.001);
}

TEST(PowermetricsTest, APowerThatIsNoneIsRefused) {
  std::vector<std::string> refusals;
  DecodeText(PowermetricsModel(), "CPU Power: 9x7 mW\nGPU Power: 153\nANE Power: -1 mW\n",
             &refusals);
  EXPECT_THAT(refusals, ElementsAre(HasSubstr("no power in mW"), HasSubstr("no power in mW"),
                                    HasSubstr("no power in mW")));
}

TEST(TextOfSeveralLinesTest, StandsDamage) {
  ExpectSplitsChangeNothing(OdpmCase());
  for (const MutationCase& text : {DumpsysBatteryCase(), PowermetricsCase()}) {
    ExpectSplitsChangeNothing(text);
    ExpectOrdersKeepValues(text);
  }
}

}  // namespace
}  // namespace joulefarm::agent
