#include "agent/power/meter/ptdaemon.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/power/meter/text_frames.h"
#include "tests/agent/power/meter/vectors/ptdaemon.h"

namespace joulefarm::agent {
namespace {

using namespace ptdaemon;  // NOLINT: the frames this is about

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Refused(const std::string& line) {
  std::vector<std::string> refusals;
  EXPECT_THAT(DecodeText(PtdaemonModel(), line, &refusals), IsEmpty()) << line;
  EXPECT_THAT(refusals, SizeIs(1)) << line;
  return refusals.empty() ? "" : refusals[0];
}

TEST(PtdaemonTest, ALine) {
  const std::vector<MeterSample> samples = DecodeText(PtdaemonModel(), kLine);
  ASSERT_THAT(samples, SizeIs(1));
  EXPECT_EQ(samples[0].power_w, 22.97);
  EXPECT_EQ(samples[0].voltage_v, 227.37);
  EXPECT_EQ(samples[0].current_a, 0.20434);
  EXPECT_EQ(samples[0].t_ns, 1'611'327'914'313'000'000);
  EXPECT_THAT(samples[0].more, ElementsAre(std::pair("pf", 0.4944)));
}

TEST(PtdaemonTest, TheMeanOfSeveralLines) {
  // From MLPerf's example of a ranging run.
  const std::vector<MeterSample> samples = DecodeText(
      PtdaemonModel(),
      "Time,12-23-2020 10:26:08.757,Watts,23.370000,Volts,228.810000,Amps,0.202450,PF,0.504500,"
      "Mark,ranging-workload\r\n"
      "Time,12-23-2020 10:26:09.769,Watts,32.810000,Volts,228.980000,Amps,0.275620,PF,0.519900,"
      "Mark,ranging-workload\r\n");
  ASSERT_THAT(samples, SizeIs(2));
  EXPECT_EQ(*samples[1].t_ns - *samples[0].t_ns, 1'012'000'000);
  EXPECT_DOUBLE_EQ((*samples[0].power_w + *samples[1].power_w) / 2, 28.09);
}

TEST(PtdaemonTest, MinusOneIsNotKnown) {
  const std::vector<MeterSample> samples = DecodeText(
      PtdaemonModel(),
      "Time,01-22-2021 15:05:14.313,Watts,22.5,Volts,-1.000000,Amps,-1.000000,PF,-1.000000,Mark,m");
  ASSERT_THAT(samples, SizeIs(1));
  EXPECT_EQ(samples[0].power_w, 22.5);
  EXPECT_EQ(samples[0].voltage_v, std::nullopt);
  EXPECT_EQ(samples[0].current_a, std::nullopt);
  EXPECT_THAT(samples[0].more, IsEmpty());
}

TEST(PtdaemonTest, ChannelsOfAnAnalyserWithSeveral) {
  const std::vector<MeterSample> samples = DecodeText(
      PtdaemonModel(), std::string(kLine) +
                           ",Ch1,Watts,10.5,Volts,227,Amps,0.1,PF,0.5,Ch2,Watts,12.47,Volts,227,"
                           "Amps,-1,PF,0.5");
  ASSERT_THAT(samples, SizeIs(1));
  EXPECT_EQ(More(samples[0], "ch1_w"), 10.5);
  EXPECT_EQ(More(samples[0], "ch1_a"), 0.1);
  EXPECT_EQ(More(samples[0], "ch2_w"), 12.47);
  EXPECT_EQ(More(samples[0], "ch2_a"), std::nullopt);
}

TEST(PtdaemonTest, RepliesAreNoSamples) {
  EXPECT_THAT(DecodeText(PtdaemonModel(), "Hello, PTDaemon here!\r\nLast 3 samples\r\n"),
              IsEmpty());
}

TEST(PtdaemonTest, APartOfALineIsRefused) {
  EXPECT_THAT(Refused("Time,01-22-2021 15:05:14.313,Watts,22"), HasSubstr("no field Volts"));
  EXPECT_THAT(Refused("Time,01-22-2021 15:05:14.313,Watts,22.97,Volts,227.37,Amps,0.2,PF,0.4"),
              HasSubstr("no field Mark"));
  EXPECT_THAT(Refused("Time,13-22-2021 15:05:14.313,Watts,22.97,Volts,1,Amps,0.2,PF,0.4,Mark,m"),
              HasSubstr("is no month-day-year and time"));
  EXPECT_THAT(Refused("Time,02-30-2021 15:05:14.313,Watts,22.97,Volts,1,Amps,0.2,PF,0.4,Mark,m"),
              HasSubstr("is no month-day-year and time"));
  EXPECT_THAT(Refused("Time,01-22-2021 15:05:14.313,Watts,2z.97,Volts,1,Amps,0.2,PF,0.4,Mark,m"),
              HasSubstr("Watts \"2z.97\" is out of range"));
  EXPECT_THAT(Refused("Time,01-22-2021 15:05:14.313,Watts,9999999,Volts,1,Amps,1,PF,0.4,Mark,m"),
              HasSubstr("out of range"));
  EXPECT_THAT(Refused("Watt"), HasSubstr("no line of PTDaemon"));
}

TEST(PtdaemonTest, StandsDamage) {
  ExpectTruncationsRefused(Case());
  ExpectSplitsChangeNothing(Case());
  ExpectOrdersKeepValues(Case());
}

}  // namespace
}  // namespace joulefarm::agent
