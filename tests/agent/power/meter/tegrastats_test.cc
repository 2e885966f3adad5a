#include "agent/power/meter/tegrastats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/power/meter/text_frames.h"
#include "tests/agent/power/meter/vectors/tegrastats.h"

namespace joulefarm::agent {
namespace {

using namespace tegrastats;  // NOLINT: the frames this is about

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

TEST(TegrastatsTest, PartsAreNeverTheWholeAndNeverOfAnUnknownOne) {
  using ::testing::Pair;
  EXPECT_THAT(One(kOrinNano).parts,
              ElementsAre(Pair("VDD_CPU_GPU_CV", 0.598), Pair("VDD_SOC", 1.238)));
  EXPECT_THAT(One(kNano).parts, ElementsAre(Pair("POM_5V_GPU", 0.0), Pair("POM_5V_CPU", 0.366)));
  double sum = 0;
  for (const auto& [rail, power_w] : One(kXavier).parts) sum += power_w;
  EXPECT_THAT(One(kXavier).parts, SizeIs(6));
  EXPECT_DOUBLE_EQ(sum, 6.926);
  const MeterSample unknown = One("VDD_SOC 300/300 VDD_CPU 500/500");
  EXPECT_EQ(unknown.power_w, std::nullopt);
  EXPECT_THAT(unknown.parts, IsEmpty());
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

// However it arrives: what is behind the most that is kept of a line is no line of its own.
TEST(TegrastatsTest, ALineThatIsTooLongIsRefusedWhole) {
  const std::string line = std::string(20'000, '9') + " VDD_IN 7/7\nVDD_IN 2/2\n";
  for (const std::size_t size : {line.size(), std::size_t{18'000}, std::size_t{1}}) {
    const std::unique_ptr<MeterDecoder> decoder = TegrastatsModel().make_decoder();
    Decoded decoded;
    for (std::size_t at = 0; at < line.size(); at += size) {
      Feed(*decoder, Case(), FromText(line.substr(at, size)), decoded);
    }
    EXPECT_EQ(decoded.refused, 1U) << size;
    ASSERT_THAT(decoded.samples, SizeIs(1)) << size;
    EXPECT_EQ(decoded.samples[0].power_w, 0.002) << size;
  }
}

TEST(TegrastatsTest, StandsDamage) {
  ExpectTruncationsRefused(Case());
  ExpectSplitsChangeNothing(Case());
  ExpectOrdersKeepValues(Case());
}

}  // namespace
}  // namespace joulefarm::agent
