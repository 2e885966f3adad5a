#include "agent/power/meter/fnirsi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/power/meter/mutation.h"
#include "tests/agent/power/meter/scripted_link.h"
#include "tests/agent/power/meter/vectors/fnirsi.h"

namespace joulefarm::agent {
namespace {

using namespace fnirsi;  // NOLINT: the frames this is about

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr std::int64_t kMs = 1'000'000;

TEST(FnirsiDecoderTest, PublishedVector) {
  FnirsiDecoder decoder;
  const auto samples = decoder.Decode(Vector());
  ASSERT_TRUE(samples.ok()) << samples.status();
  ASSERT_EQ(samples->size(), 4U);
  const struct {
    double volts, amperes, plus, minus, celsius;
  } expected[] = {
      {5, 1, 2.7, 2.7, 25.0}, {9, 2, 0.6, 0.3, 30.0}, {12, 3, 0, 0, 30.1}, {20, 5, 0, 0, 30.2}};
  for (std::size_t i = 0; i < 4; ++i) {
    const MeterSample& sample = (*samples)[i];
    EXPECT_EQ(sample.voltage_v, expected[i].volts);
    EXPECT_EQ(sample.current_a, expected[i].amperes);
    EXPECT_EQ(sample.power_w, expected[i].volts * expected[i].amperes);
    EXPECT_EQ(sample.t_ns, std::nullopt);
    EXPECT_THAT(sample.more, ElementsAre(Pair("d_plus_v", expected[i].plus),
                                         Pair("d_minus_v", expected[i].minus),
                                         Pair("temperature_c", expected[i].celsius)));
  }
}

TEST(FnirsiDecoderTest, Damage) {
  ExpectTruncationsRefused(Case());
  ExpectFlipsFound(Case());
  ExpectOrdersKeepValues(Case());
}

TEST(FnirsiDecoderTest, OtherReportsHaveNoSamples) {
  FnirsiDecoder decoder;
  Frame info(64);
  info[0] = 0xAA;
  info[1] = 0x03;
  const auto samples = decoder.Decode(WithCrc(info));
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_TRUE(samples->empty());
}

TEST(FnirsiDecoderTest, RefusesWhatTheStaleReportHeld) {
  FnirsiDecoder decoder;
  // The values of a real one: 188.74 V, 170.39 A.
  const auto samples = decoder.Decode(Report(18'874'000, 17'039'000));
  EXPECT_TRUE(absl::IsDataLoss(samples.status()));
  EXPECT_THAT(std::string(samples.status().message()), HasSubstr("188.74000 V"));
  EXPECT_FALSE(decoder.Decode(Report(6'000'001, 0)).ok());
  EXPECT_FALSE(decoder.Decode(Report(0, 1'000'001)).ok());
  EXPECT_TRUE(decoder.Decode(Report(6'000'000, 1'000'000)).ok());
  EXPECT_FALSE(decoder.Decode(Report(0x80000000U, 0)).ok());
}

TEST(FnirsiModelTest, MatchesByProduct) {
  UsbDevice device = HidDevice(0x2E3C, 0x5558);
  EXPECT_EQ(FnirsiModel().match(device), UsbMatch::kYes);
  EXPECT_EQ(FnirsiC1Model().match(device), UsbMatch::kNo);
  device.node = "/dev/ttyACM0";  // the same meter's other interface
  EXPECT_EQ(FnirsiModel().match(device), UsbMatch::kNo);
  device = HidDevice(0x0483, 0x003B);
  EXPECT_EQ(FnirsiModel().match(device), UsbMatch::kNo);
  EXPECT_EQ(FnirsiC1Model().match(device), UsbMatch::kYes);
  // Whatever it shows itself as.
  device = HidDevice(0x0483, 0x0038);
  device.node = "/dev/bus/usb/001/002";
  EXPECT_EQ(FnirsiModel().match(device), UsbMatch::kFirmwareUpdate);
}

class FnirsiDriverTest : public testing::Test {
 protected:
  void Make(FnirsiStart start) { driver_ = MakeFnirsiDriver(start, link_.Clock()); }

  // A meter that streams for a second after each start, 40 ms apart.
  void Obey() {
    link_.on_write = [this](const Frame& command) {
      if (command[1] == 0x82) Stream(1000);
    };
  }
  void Stream(int ms) {
    const std::int64_t until = link_.now_ns() + ms * kMs;
    if (next_ns_ < link_.now_ns()) next_ns_ = link_.now_ns() + 40 * kMs;
    for (; next_ns_ <= until; next_ns_ += 40 * kMs)
      link_.Arrive(next_ns_, Report(500'000, 100'000));
  }

  std::vector<std::uint8_t> Commands() const {
    std::vector<std::uint8_t> commands;
    for (const ScriptedLink::Written& written : link_.written()) {
      commands.push_back(written.bytes[1]);
    }
    return commands;
  }

  // Steps until `ns` have passed.
  absl::Status Run(std::int64_t ns) {
    const std::int64_t until = link_.now_ns() + ns;
    while (link_.now_ns() < until) {
      MeterBatch batch;
      const absl::Status status = driver_->Step(link_, batch);
      lost_ += batch.lost;
      rejected_ += batch.rejected;
      for (const MeterSample& sample : batch.samples) {
        stamps_.push_back(*sample.t_ns);
        arrivals_.push_back(batch.arrived_ns);
      }
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  ScriptedLink link_;
  std::unique_ptr<MeterDriver> driver_;
  std::int64_t next_ns_ = 0;
  std::vector<std::int64_t> stamps_;
  std::vector<std::int64_t> arrivals_;
  std::int64_t lost_ = 0;
  std::int64_t rejected_ = 0;
};

TEST_F(FnirsiDriverTest, CommandsAsPublished) {
  Make(FnirsiStart::kStartContinue);
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  ASSERT_EQ(link_.written().size(), 3U);
  const std::uint8_t crcs[] = {0x8E, 0x96, 0x9E};
  for (std::size_t i = 0; i < 3; ++i) {
    Frame expected(64);
    expected[0] = 0xAA;
    expected[1] = static_cast<std::uint8_t>(0x81 + i);
    expected[63] = crcs[i];
    EXPECT_EQ(link_.written()[i].bytes, expected);
  }
}

TEST_F(FnirsiDriverTest, StartSequencesAndTheirSpacing) {
  Make(FnirsiStart::kStartTwice);
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  EXPECT_THAT(Commands(), ElementsAre(0x81, 0x82, 0x82));
  for (std::size_t i = 1; i < 3; ++i) {
    EXPECT_GE(link_.written()[i].at_ns - link_.written()[i - 1].at_ns, 25 * kMs);
  }
}

TEST_F(FnirsiDriverTest, KeepsTheStreamAliveAndCountsTime) {
  Make(FnirsiStart::kStartTwice);
  Obey();
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  ASSERT_TRUE(Run(10'000 * kMs).ok());
  EXPECT_EQ(rejected_, 0);
  EXPECT_EQ(lost_, 0);
  EXPECT_NEAR(static_cast<double>(stamps_.size()), 1000, 10);
  for (std::size_t i = 1; i < stamps_.size(); ++i) EXPECT_EQ(stamps_[i] - stamps_[i - 1], 10 * kMs);
  for (std::size_t i = 4; i < link_.written().size(); ++i) {
    EXPECT_EQ(link_.written()[i].bytes[1], 0x82);
    EXPECT_GE(link_.written()[i].at_ns - link_.written()[i - 1].at_ns, 25 * kMs);
    EXPECT_LE(link_.written()[i].at_ns - link_.written()[i - 1].at_ns, 650 * kMs);
  }
  EXPECT_LE(link_.longest_wait_ns(), 250 * kMs);
}

TEST_F(FnirsiDriverTest, DropsTheStaleFirstReport) {
  Make(FnirsiStart::kStartTwice);
  // Left in the device: it comes after the start, before any of this stream.
  link_.Arrive(link_.now_ns() + 160 * kMs, Report(900'000, 300'000));
  link_.Arrive(link_.now_ns() + 200 * kMs, Report(500'000, 100'000));
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  MeterBatch batch;
  ASSERT_TRUE(driver_->Step(link_, batch).ok());
  EXPECT_TRUE(batch.samples.empty());
  EXPECT_EQ(batch.rejected, 0);
  ASSERT_TRUE(driver_->Step(link_, batch).ok());
  ASSERT_EQ(batch.samples.size(), 4U);
  EXPECT_EQ(batch.samples[0].voltage_v, 5.0);
  EXPECT_EQ(batch.arrived_ns, 1'200 * kMs);
  EXPECT_EQ(batch.asked_ns, std::nullopt);
}

// The README's log: two reports 9 ms apart, each of 40 ms, made stamps that overlap.
TEST_F(FnirsiDriverTest, LateReportsDoNotOverlap) {
  Make(FnirsiStart::kStartTwice);
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  const std::int64_t begin = link_.now_ns();
  for (int i = 0; i < 500; ++i) {
    // Every seventh is 31 ms late.
    link_.Arrive(begin + (40 * (i + 1) + (i % 7 == 3 ? 31 : 0)) * kMs, Report(500'000, 100'000));
  }
  ASSERT_TRUE(Run(19'900 * kMs).ok());
  EXPECT_EQ(lost_, 0);
  ASSERT_GT(stamps_.size(), 1900U);
  for (std::size_t i = 1; i < stamps_.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(stamps_[i] - stamps_[i - 1]), 10e6, 1e4);
  }
}

TEST_F(FnirsiDriverTest, RefusedReportsAreLostTime) {
  Make(FnirsiStart::kStartTwice);
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  const std::int64_t begin = link_.now_ns();
  for (std::int64_t i = 0; i < 10; ++i) {
    Frame report = Report(500'000, 100'000);
    if (i == 5) report[20] ^= 0x10;
    link_.Arrive(begin + 40 * (i + 1) * kMs, report);
  }
  ASSERT_TRUE(Run(400 * kMs).ok());
  EXPECT_EQ(rejected_, 1);
  EXPECT_EQ(lost_, 4);
  ASSERT_EQ(stamps_.size(), 32U);  // of ten, the first is dropped and one refused
  EXPECT_EQ(stamps_.back() - stamps_.front(), 350 * kMs);
}

TEST_F(FnirsiDriverTest, AStallIsAGapNotAShiftOfTime) {
  Make(FnirsiStart::kStartTwice);
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  const std::int64_t begin = link_.now_ns();
  for (std::int64_t i = 0; i < 100; ++i) {
    if (i < 50 || i >= 54) link_.Arrive(begin + 40 * (i + 1) * kMs, Report(500'000, 100'000));
  }
  ASSERT_TRUE(Run(4'000 * kMs).ok());
  EXPECT_EQ(lost_, 16);
  EXPECT_EQ(stamps_.size(), 4U * 95);
  EXPECT_NEAR(static_cast<double>(stamps_.back() - stamps_.front()), 99 * 40e6 - 10e6, 1e5);
}

TEST_F(FnirsiDriverTest, AHostThatSleepsLosesNothing) {
  Make(FnirsiStart::kStartTwice);
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  const std::int64_t begin = link_.now_ns();
  for (std::int64_t i = 0; i < 100; ++i)
    link_.Arrive(begin + 40 * (i + 1) * kMs, Report(500'000, 100'000));
  ASSERT_TRUE(Run(1'000 * kMs).ok());
  link_.Pass(600 * kMs);
  ASSERT_TRUE(Run(2'300 * kMs).ok());
  EXPECT_GE(stamps_.size(), 4U * 96);
  EXPECT_THAT(Commands(), Each(testing::AnyOf(0x81, 0x82)));  // it was not the meter's silence
  EXPECT_EQ(lost_, 0);
  for (std::size_t i = 1; i < stamps_.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(stamps_[i] - stamps_[i - 1]), 10e6, 1e5);
  }
}

TEST_F(FnirsiDriverTest, ASilentMeterIsStartedAgainAndEachReportContinued) {
  Make(FnirsiStart::kStartTwice);
  bool obeys = false;
  int continued = 0;
  // A firmware that starts, and then goes on only as long as every report is answered.
  link_.on_write = [&](const Frame& command) {
    if (command[1] == 0x82 && obeys)
      link_.Arrive(link_.now_ns() + 40 * kMs, Report(500'000, 100'000));
    if (command[1] == 0x83) {
      ++continued;
      link_.Arrive(link_.now_ns() + 40 * kMs, Report(500'000, 100'000));
    }
  };
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  obeys = true;
  ASSERT_TRUE(Run(3'000 * kMs).ok());
  EXPECT_GT(continued, 40);
  EXPECT_GT(stamps_.size(), 160U);
}

TEST_F(FnirsiDriverTest, SilenceEndsInAnError) {
  Make(FnirsiStart::kStartTwice);
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  const absl::Status status = Run(5'000 * kMs);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_LE(link_.now_ns(), 4'000 * kMs);
  for (std::size_t i = 1; i < link_.written().size(); ++i) {
    EXPECT_GE(link_.written()[i].at_ns - link_.written()[i - 1].at_ns, 25 * kMs);
  }
}

TEST_F(FnirsiDriverTest, OnlyGarbageEndsInAnErrorThatSaysSo) {
  Make(FnirsiStart::kStartTwice);
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  for (std::int64_t i = 0; i < 100; ++i) {
    link_.Arrive(link_.now_ns() + 40 * i * kMs, Frame(64, static_cast<std::uint8_t>(i)));
  }
  const absl::Status status = Run(5'000 * kMs);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("refused"));
  EXPECT_GT(rejected_, 30);
  EXPECT_TRUE(stamps_.empty());
}

TEST_F(FnirsiDriverTest, AnUnpluggedMeterGivesWhatHadArrived) {
  Make(FnirsiStart::kStartTwice);
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  const std::int64_t begin = link_.now_ns();
  for (std::int64_t i = 0; i < 3; ++i)
    link_.Arrive(begin + 40 * (i + 1) * kMs, Report(500'000, 100'000));
  link_.Break(begin + 130 * kMs, absl::UnavailableError("gone"));
  link_.Pass(125 * kMs);
  EXPECT_TRUE(absl::IsUnavailable(Run(1'000 * kMs)));
  EXPECT_EQ(stamps_.size(), 8U);
  driver_->Stop(link_);
}

TEST_F(FnirsiDriverTest, StartAgainAfterReopening) {
  Make(FnirsiStart::kStartTwice);
  Obey();
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  ASSERT_TRUE(Run(1'000 * kMs).ok());
  driver_->Stop(link_);
  const std::size_t before = stamps_.size();
  link_.Pass(60'000 * kMs);
  ASSERT_TRUE(driver_->Start(link_, 0).ok());
  ASSERT_TRUE(Run(1'000 * kMs).ok());
  EXPECT_EQ(lost_, 0);
  ASSERT_GT(stamps_.size(), before + 50);
  EXPECT_EQ(stamps_[before], 0);  // a clock of its own
}

}  // namespace
}  // namespace joulefarm::agent
