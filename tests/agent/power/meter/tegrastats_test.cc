#include "agent/power/meter/tegrastats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/power/meter/text_frames.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kTx1[] =
    "RAM 388/3984MB (lfb 779x4MB) IRAM 0/252kB(lfb 252kB) CPU [5%@1734,0%@1734] EMC_FREQ 0%@1600 "
    "GR3D_FREQ 7%@998 APE 25 AO@30.5C CPU@25.5C thermal@24C";
constexpr char kTx1Old[] = "cpu [17%,13%,29%,5%]@408 EMC 1%@408 APE 25 GR3D 3%@76";
constexpr char kTx2[] =
    "EMC_FREQ 1%@665 GR3D_FREQ 3%@140 APE 150 MTS fg 0% bg 0% BCPU@30C MCPU@30C GPU@28C VDD_IN "
    "1383/1383 VDD_CPU 153/191 VDD_GPU 76/76 VDD_SOC 384/384 VDD_WIFI 364/335 VDD_DDR 192/201";
constexpr char kTx2Load[] =
    "RAM 4722/7844MB (lfb 1x512kB) CPU [R%@2035,R%@2035] SWAP 149/1024MB (cached 7MB) EMC_FREQ "
    "2%@1866 GR3D_FREQ 9%@1300 APE 150 MTS fg 0% bg 0% BCPU@-45C MCPU@-45C GPU@-51C PLL@45C VDD_IN "
    "14025/14416 VDD_CPU 2209/2538 VDD_GPU 6854/6903 VDD_SOC 1371/1370 VDD_WIFI 19/19 NVENC 716 "
    "NVDEC 716 VDD_DDR 2702/2702";
constexpr char kXavier[] =
    "GR3D_FREQ 0%@1377 APE 150 MTS fg 0% bg 0% AO@26.5C GPU@28C iwlwifi@30C GPU 1155/1155 CPU "
    "385/385 SOC 2502/2502 CV 0/0 VDDRQ 192/192 SYS5V 2692/2692";
constexpr char kNano[] =
    "RAM 1923/3964MB (lfb 2x2MB) SWAP 191/1982MB (cached 6MB) IRAM 0/252kB(lfb 252kB) CPU "
    "[5%@1224,4%@1224,3%@1224,6%@1224] EMC_FREQ 0%@1600 GR3D_FREQ 0%@76 APE 25 PLL@37C CPU@40C "
    "PMIC@50C GPU@40C AO@45C thermal@40C POM_5V_IN 1750/1628 POM_5V_GPU 0/0 POM_5V_CPU 366/406";
constexpr char kOrinNano[] =
    "12-23-2024 22:54:11 RAM 3162/7620MB (lfb 4x2MB) SWAP 0/3810MB (cached 0MB) CPU "
    "[1%@729,3%@729,off,off] GR3D_FREQ 1% cpu@62.843C VDD_IN 3913mW/3922mW VDD_CPU_GPU_CV "
    "598mW/598mW VDD_SOC 1238mW/1237mW";

MeterSample One(const std::string& line) {
  const std::vector<MeterSample> samples = DecodeText(TegrastatsModel(), line);
  EXPECT_THAT(samples, SizeIs(1)) << line;
  return samples.empty() ? MeterSample() : samples[0];
}

std::string Refused(const std::string& line) {
  std::vector<std::string> refusals;
  EXPECT_THAT(DecodeText(TegrastatsModel(), line, &refusals), IsEmpty()) << line;
  EXPECT_THAT(refusals, SizeIs(1)) << line;
  return refusals.empty() ? "" : refusals[0];
}

TEST(TegrastatsTest, EveryBoardsTotal) {
  EXPECT_EQ(One(kTx1).power_w, std::nullopt) << "it prints no rails";
  EXPECT_EQ(One(kTx1Old).power_w, std::nullopt);
  EXPECT_EQ(One(kTx2).power_w, 1.383);
  EXPECT_EQ(One(kTx2Load).power_w, 14.025);
  EXPECT_DOUBLE_EQ(One(kXavier).power_w.value_or(0), 6.926) << "the sum its maker defines";
  EXPECT_EQ(One(kNano).power_w, 1.75);
  EXPECT_EQ(One(kOrinNano).power_w, 3.913);
}

TEST(TegrastatsTest, AllThatALineSays) {
  EXPECT_THAT(
      One(kNano).more,
      ElementsAre(std::pair("ram_mb", 1923.0), std::pair("swap_mb", 191.0),
                  std::pair("cpu_pct", 4.5), std::pair("emc_pct", 0.0), std::pair("gr3d_pct", 0.0),
                  std::pair("PLL_c", 37.0), std::pair("CPU_c", 40.0), std::pair("GPU_c", 40.0),
                  std::pair("AO_c", 45.0), std::pair("thermal_c", 40.0),
                  std::pair("POM_5V_IN_w", 1.75), std::pair("POM_5V_GPU_w", 0.0),
                  std::pair("POM_5V_CPU_w", 0.366)))
      << "and no PMIC@50C, which is a constant";
  EXPECT_THAT(One(kOrinNano).more,
              ElementsAre(std::pair("ram_mb", 3162.0), std::pair("swap_mb", 0.0),
                          std::pair("cpu_pct", 2.0), std::pair("gr3d_pct", 1.0),
                          std::pair("cpu_c", 62.843), std::pair("VDD_IN_w", 3.913),
                          std::pair("VDD_CPU_GPU_CV_w", 0.598), std::pair("VDD_SOC_w", 1.238)));
}

TEST(TegrastatsTest, ATemperatureIsNoRailAndAClockIsNone) {
  const MeterSample xavier = One(kXavier);
  EXPECT_EQ(More(xavier, "GPU_c"), 28);
  EXPECT_EQ(More(xavier, "GPU_w"), 1.155);
  EXPECT_EQ(More(One(kTx2Load), "NVENC_w"), std::nullopt);
  EXPECT_EQ(More(One(kTx2Load), "cpu_pct"), std::nullopt) << "R% is no number";
  EXPECT_EQ(More(One(kTx1Old), "cpu_pct"), 16);
}

TEST(TegrastatsTest, ThreeNumbersAndClocksInBrackets) {
  const MeterSample sample =
      One("01-05-2026 10:00:00 RAM 1/2MB CPU [1%@729] GR3D_FREQ 12%@[1300,1300] "
          "VDD_GPU_SOC 4000mW/3900mW/5000mW VDD_CPU_CV 1000mW/1000mW/1000mW VIN_SYS_5V0 "
          "3000mW/3000mW/3000mW VDDQ_VDD2_1V8AO 500mW/500mW/500mW");
  EXPECT_EQ(sample.power_w, 8.5) << "AGX Orin: the sum";
  EXPECT_EQ(More(sample, "gr3d_pct"), 12);
  EXPECT_EQ(More(sample, "VDD_GPU_SOC_w"), 4);
}

TEST(TegrastatsTest, APartOfASumIsNoTotal) {
  EXPECT_EQ(One("GPU 1155/1155 CPU 385/385 SOC 2502/2502 CV 0/0 VDDRQ 192/192").power_w,
            std::nullopt);
}

TEST(TegrastatsTest, ADamagedLineIsRefused) {
  EXPECT_THAT(Refused("VDD_IN 14o25/14416 VDD_CPU 2209/2538"), HasSubstr("rail VDD_IN has no"));
  EXPECT_THAT(Refused("VDD_CPU 2209/2538 VDD_IN"), HasSubstr("rail VDD_IN has no value"));
  EXPECT_THAT(Refused("VDD_IN 1383 VDD_CPU 153/191"), HasSubstr("rail VDD_IN"));
  EXPECT_THAT(Refused("VDD_IN 14025000/14416"), HasSubstr("cannot take 14025000 mW"));
  EXPECT_THAT(Refused("VDD_IN 1/1 RAM 1/2MB VDD_IN 2/2"), HasSubstr("is there twice"));
  EXPECT_THAT(Refused("bash: tegrastats: command not found"), HasSubstr("no line of tegrastats"));
  EXPECT_THAT(Refused("VDD_IN 1/1 \x01"), HasSubstr("is no text"));
}

TEST(TegrastatsTest, LinesThatAreGoodAroundOneThatIsNot) {
  std::vector<std::string> refusals;
  const std::vector<MeterSample> samples =
      DecodeText(TegrastatsModel(), "VDD_IN 1/1\r\nnonsense\n\nVDD_IN 2/2\nVDD_IN 3/3", &refusals);
  ASSERT_THAT(samples, SizeIs(3));
  EXPECT_EQ(samples[2].power_w, 0.003);
  EXPECT_THAT(refusals, SizeIs(1));
}

TEST(TegrastatsTest, StandsDamage) {
  const MutationCase tegrastats{.make = TegrastatsModel().make_decoder,
                                .frames = {LineOf(kNano), LineOf(kXavier), LineOf(kOrinNano)},
                                .stream = true};
  ExpectTruncationsRefused(tegrastats);
  ExpectSplitsChangeNothing(tegrastats);
  ExpectOrdersKeepValues(tegrastats);
  ExpectSurvivesDamage(tegrastats);
}

}  // namespace
}  // namespace joulefarm::agent
