#include "agent/power/meter/witrn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/agent/power/meter/mutation.h"
#include "tests/agent/power/meter/scripted_link.h"
#include "tests/agent/power/meter/vectors/witrn.h"

namespace joulefarm::agent {
namespace {

using namespace witrn;  // NOLINT: the frames this is about

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr std::int64_t kMs = 1'000'000;

TEST(WitrnDecoderTest, PublishedVector) {
  WitrnDecoder decoder;
  const auto samples = decoder.Decode(Vector());
  ASSERT_TRUE(samples.ok()) << samples.status();
  ASSERT_EQ(samples->size(), 1U);
  const MeterSample& sample = samples->front();
  EXPECT_EQ(sample.voltage_v, 5.0);
  EXPECT_EQ(sample.current_a, 2.0);
  EXPECT_EQ(sample.power_w, 10.0);
  // Second 7; 44 modulo 256 and 0 modulo 100 is 300.
  EXPECT_EQ(sample.t_ns, 7'300'000'000);
  EXPECT_THAT(sample.more,
              ElementsAre(Pair("charge_ah", 1.25), Pair("energy_wh", 4.5), Pair("record_s", 3600),
                          Pair("run_s", 7265), Pair("d_plus_v", double{1.2F}),
                          Pair("d_minus_v", double{1.1F}), Pair("temperature_c", 25),
                          Pair("probe_temperature_c", 23.5), Pair("group", 0), Pair("cc1_v", 5),
                          Pair("cc2_v", 9)));
}

TEST(WitrnDecoderTest, Damage) {
  ExpectTruncationsRefused(Case());
  ExpectFlipsFound(Case());
  ExpectOrdersKeepValues(Case());
}

TEST(WitrnDecoderTest, EveryMillisecondComesOut) {
  WitrnDecoder decoder;
  for (std::int64_t ms = 0; ms < 1000; ++ms) {
    decoder.Reset();
    const auto samples = decoder.Decode(Report(ms, 5, 1));
    ASSERT_TRUE(samples.ok()) << ms << ": " << samples.status();
    EXPECT_EQ(samples->front().t_ns, ms * kMs);
  }
}

TEST(WitrnDecoderTest, TheClockGoesOnBeyondItsWrap) {
  WitrnDecoder decoder;
  for (std::int64_t ms = 0; ms < 1'000'000; ms += 10) {
    const auto samples = decoder.Decode(Report(ms % 256'000, 5, 1));
    ASSERT_TRUE(samples.ok()) << ms << ": " << samples.status();
    ASSERT_EQ(samples->front().t_ns, ms * kMs);
  }
  EXPECT_EQ(decoder.TakeLost(), 0);
}

TEST(WitrnDecoderTest, TwiceOrBackIsRefused) {
  WitrnDecoder decoder;
  ASSERT_TRUE(decoder.Decode(Report(5000, 5, 1)).ok());
  EXPECT_TRUE(absl::IsDataLoss(decoder.Decode(Report(5000, 5, 1)).status()));
  EXPECT_TRUE(absl::IsDataLoss(decoder.Decode(Report(4990, 5, 1)).status()));
  const auto next = decoder.Decode(Report(5010, 5, 1));
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->front().t_ns, 5010 * kMs);
}

TEST(WitrnDecoderTest, ClockBytesThatContradict) {
  WitrnDecoder decoder;
  Frame frame = Vector();
  frame[6] = 1;
  const auto samples = decoder.Decode(WithSums(frame));
  EXPECT_TRUE(absl::IsDataLoss(samples.status()));
  EXPECT_THAT(std::string(samples.status().message()), HasSubstr("contradict"));
}

TEST(WitrnDecoderTest, CountsWhatIsMissing) {
  WitrnDecoder decoder;
  ASSERT_TRUE(decoder.Decode(Report(0, 5, 1)).ok());
  ASSERT_TRUE(decoder.Decode(Report(100, 5, 1)).ok());
  EXPECT_EQ(decoder.TakeLost(), 9);
  Frame bad = Report(110, 5, 1);
  bad[50] ^= 1;
  EXPECT_FALSE(decoder.Decode(bad).ok());
  ASSERT_TRUE(decoder.Decode(Report(120, 5, 1)).ok());
  EXPECT_EQ(decoder.TakeLost(), 1);
  // A jitter of its clock is no loss.
  ASSERT_TRUE(decoder.Decode(Report(137, 5, 1)).ok());
  EXPECT_EQ(decoder.TakeLost(), 0);
}

TEST(WitrnDecoderTest, NoNumbersAndNoProbe) {
  WitrnDecoder decoder;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(absl::IsDataLoss(decoder.Decode(Report(0, nan, 1)).status()));
  EXPECT_TRUE(absl::IsDataLoss(decoder.Decode(Report(0, 5, nan)).status()));
  EXPECT_TRUE(absl::IsDataLoss(decoder.Decode(Report(0, 61, 1)).status()));
  EXPECT_TRUE(absl::IsDataLoss(decoder.Decode(Report(0, 5, -20.5F)).status()));
  Frame frame = Report(0, 5, 1);
  PutFloat(frame, 42, -73.2F);
  PutFloat(frame, 38, nan);
  const auto samples = decoder.Decode(WithSums(frame));
  ASSERT_TRUE(samples.ok());
  for (const auto& [name, value] : samples->front().more) {
    EXPECT_NE(name, "probe_temperature_c");
    EXPECT_NE(name, "temperature_c");
  }
}

TEST(WitrnDecoderTest, PdMessagesHaveNoSamples) {
  WitrnDecoder decoder;
  const auto samples = decoder.Decode(Frame(64, 0xFE));
  ASSERT_TRUE(samples.ok());
  EXPECT_TRUE(samples->empty());
}

TEST(WitrnModelTest, MatchesTheVendorInterface) {
  UsbDevice device = HidDevice(0x0716, 0x5060);
  device.usage_page = 0xFF00;
  EXPECT_EQ(WitrnModel().match(device), UsbMatch::kYes);
  device.usage_page = 1;  // its other HID interface
  EXPECT_EQ(WitrnModel().match(device), UsbMatch::kNo);
  device.usage_page = 0xFF00;
  device.product = 0x5061;
  EXPECT_EQ(WitrnModel().match(device), UsbMatch::kNo);
}

TEST(WitrnDriverTest, SamplesCarryTheMetersClock) {
  ScriptedLink link;
  const std::int64_t begin = link.now_ns();
  link.Arrive(begin - 10 * kMs, Report(250'000, 1, 1));  // of before the start
  for (std::int64_t i = 0; i < 1000; ++i) {
    const std::int64_t t_ms = 250'010 + 10 * i;
    link.Arrive(begin + 10 * (i + 1) * kMs, Report(t_ms % 256'000, 5, 1));
  }
  const auto driver = MakeWitrnDriver(link.Clock());
  ASSERT_TRUE(driver->Start(link, 0).ok());
  EXPECT_TRUE(link.written().empty());
  std::vector<std::int64_t> stamps;
  while (stamps.size() < 1000) {
    MeterBatch batch;
    ASSERT_TRUE(driver->Step(link, batch).ok());
    ASSERT_EQ(batch.rejected, 0) << batch.refusal;
    for (const MeterSample& sample : batch.samples) {
      stamps.push_back(*sample.t_ns);
      EXPECT_EQ(batch.arrived_ns - begin, *sample.t_ns - 250'000 * kMs);
    }
  }
  for (std::size_t i = 1; i < stamps.size(); ++i) EXPECT_EQ(stamps[i] - stamps[i - 1], 10 * kMs);
  // Then it is silent.
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    MeterBatch batch;
    status = driver->Step(link, batch);
  }
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

// A meter that restarts its clock without leaving the bus is opened again.
TEST(WitrnDriverTest, AClockThatStartsAnewEndsInAnError) {
  ScriptedLink link;
  const std::int64_t begin = link.now_ns();
  for (std::int64_t i = 0; i < 100; ++i) {
    link.Arrive(begin + 10 * (i + 1) * kMs, Report(100'000 + 10 * i, 5, 1));
  }
  for (std::int64_t i = 0; i < 1000; ++i) {
    link.Arrive(begin + (1010 + 10 * i) * kMs, Report(10 * i, 5, 1));
  }
  const auto driver = MakeWitrnDriver(link.Clock());
  ASSERT_TRUE(driver->Start(link, 0).ok());
  absl::Status status;
  std::size_t samples = 0;
  for (int i = 0; i < 1000 && status.ok(); ++i) {
    MeterBatch batch;
    status = driver->Step(link, batch);
    samples += batch.samples.size();
  }
  EXPECT_EQ(samples, 100U);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("clock"));
}

}  // namespace
}  // namespace joulefarm::agent
