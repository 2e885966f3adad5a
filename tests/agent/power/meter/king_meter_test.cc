#include "tests/agent/power/meter/vectors/king_meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/power/meter/acd15p.h"
#include "agent/power/meter/km001pro.h"
#include "tests/agent/power/meter/mutation.h"
#include "tests/agent/power/meter/scripted_link.h"

namespace joulefarm::agent {
namespace {

using namespace king_meter;  // NOLINT: the frames this is about

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr std::int64_t kMs = 1'000'000;

Frame Padded(Frame frame) {
  frame.resize(64);
  return frame;
}

TEST(KingMeterCommandTest, Published) {
  const auto command = [](std::uint8_t rate) {
    const std::uint8_t bytes[] = {0x31, 0x1A, 0xB1, 0x01, rate};
    return KingMeterCommand(bytes, KingMeterTail::kCrc16);
  };
  EXPECT_EQ(KingMeterCommand(kKingMeterGet, KingMeterTail::kCrc16),
            Padded(FromHex("550522050b008cdd57")));
  EXPECT_EQ(KingMeterCommand(kKingMeterGet, KingMeterTail::kConstant),
            Padded(FromHex("550522050b008ceeff")));
  EXPECT_EQ(command(4), Padded(FromHex("5506311ab101045c34cb")));
  EXPECT_EQ(command(3), Padded(FromHex("5506311ab101035b7509")));
  EXPECT_EQ(command(2), Padded(FromHex("5506311ab101025ab4c9")));
  EXPECT_EQ(command(1), Padded(FromHex("5506311ab1010159f4c8")));
}

TEST(Km001ProDecoderTest, PublishedReport) {
  Km001ProDecoder decoder;
  for (const Frame& frame : {Km001ProVector(), Padded(Km001ProVector())}) {
    const auto samples = decoder.Decode(frame);
    ASSERT_TRUE(samples.ok()) << samples.status();
    ASSERT_EQ(samples->size(), 1U);
    const MeterSample& sample = samples->front();
    EXPECT_EQ(sample.voltage_v, 5.187533);
    EXPECT_EQ(sample.current_a, 0.205085);
    EXPECT_EQ(sample.power_w, 1.014286);
    EXPECT_EQ(sample.t_ns, std::nullopt);
    EXPECT_THAT(sample.more, ElementsAre(Pair("d_plus_v", 0.022), Pair("d_minus_v", 0.204),
                                         Pair("voltage2_v", 5.187458), Pair("current2_a", 0.215991),
                                         Pair("temperature_c", 26.3)));
  }
}

TEST(Km001ProDecoderTest, SignedValues) {
  Km001ProDecoder decoder;
  Frame frame = Km001ProVector();
  for (std::size_t i = 10; i < 18; ++i) frame[i] = 0xFF;
  frame[34] = 0xCE;  // -5.0 °C
  frame[35] = 0xFF;
  const auto samples = decoder.Decode(frame);
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_EQ(samples->front().current_a, -1e-6);
  EXPECT_EQ(samples->front().power_w, -1e-6);
  EXPECT_EQ(samples->front().more.back().second, -5.0);
}

TEST(Km001ProDecoderTest, Damage) {
  ExpectTruncationsRefused(Km001ProCase());
  ExpectOrdersKeepValues(Km001ProCase());
  // Only the head is protected; a flipped bit in it is not taken for a sample.
  Km001ProDecoder decoder;
  for (std::size_t bit = 0; bit < 48; ++bit) {
    Frame frame = Km001ProVector();
    frame[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    const auto samples = decoder.Decode(frame);
    EXPECT_TRUE(!samples.ok() || samples->empty()) << bit;
  }
  EXPECT_TRUE(absl::IsDataLoss(decoder.Decode(Frame(65)).status()));
  Frame volts = Km001ProVector();
  volts[9] = 0x04;
  EXPECT_THAT(std::string(decoder.Decode(volts).status().message()), HasSubstr("beyond"));
}

TEST(Km001ProDecoderTest, TheUnknownReportHasNoSamples) {
  Km001ProDecoder decoder;
  const auto samples = decoder.Decode(Padded(FromHex("aa4062050b")));
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_TRUE(samples->empty());
}

// Answers each request with 200 samples at the rate last set.
class FakeKm001Pro {
 public:
  explicit FakeKm001Pro(ScriptedLink& link) : link_(link) {
    link.on_write = [this](const Frame& command) { Take(command); };
  }
  std::int64_t sent() const { return sent_; }

 private:
  void Take(const Frame& command) {
    if (command[2] == 0x31) {
      constexpr std::int64_t kPeriods[] = {100, 100, 20, 10, 2};
      period_ns_ = kPeriods[command[6]] * kMs;
      link_.Arrive(link_.now_ns() + kMs, Padded(FromHex("aa06311ab1")));
      return;
    }
    // A request while it sends only makes it go on for longer.
    const std::int64_t until = link_.now_ns() + 200 * period_ns_;
    if (next_ns_ < link_.now_ns()) next_ns_ = link_.now_ns() + period_ns_;
    for (; next_ns_ < until; next_ns_ += period_ns_, ++sent_) {
      link_.Arrive(next_ns_, Padded(Km001ProVector()));
    }
  }

  ScriptedLink& link_;
  std::int64_t period_ns_ = 100 * kMs;
  std::int64_t next_ns_ = 0;
  std::int64_t sent_ = 0;
};

TEST(Km001ProDriverTest, AsksInTimeAndCounts) {
  for (const auto& [rate_hz, code, period_ms] :
       {std::tuple{0.0, 4, 2}, {500.0, 4, 2}, {120.0, 3, 10}, {60.0, 2, 20}, {1.0, 1, 100}}) {
    ScriptedLink link;
    FakeKm001Pro meter(link);
    const auto driver = MakeKm001ProDriver(link.Clock());
    ASSERT_TRUE(driver->Start(link, rate_hz).ok());
    EXPECT_EQ(link.written()[0].bytes[6], code);
    std::vector<std::int64_t> stamps;
    std::int64_t lost = 0;
    while (link.now_ns() < 6'000 * kMs) {
      MeterBatch batch;
      ASSERT_TRUE(driver->Step(link, batch).ok());
      EXPECT_EQ(batch.rejected, 0) << batch.refusal;
      lost += batch.lost;
      for (const MeterSample& sample : batch.samples) stamps.push_back(*sample.t_ns);
    }
    EXPECT_EQ(lost, 0);
    EXPECT_NEAR(static_cast<double>(stamps.size()), 4950.0 / period_ms, 3);
    for (std::size_t i = 1; i < stamps.size(); ++i) {
      EXPECT_EQ(stamps[i] - stamps[i - 1], period_ms * kMs);
    }
    for (std::size_t i = 2; i < link.written().size(); ++i) {
      EXPECT_LE(link.written()[i].at_ns - link.written()[i - 1].at_ns, 310 * kMs);
    }
  }
}

TEST(Km001ProDriverTest, SilenceEndsInAnError) {
  ScriptedLink link;
  const auto driver = MakeKm001ProDriver(link.Clock());
  ASSERT_TRUE(driver->Start(link, 0).ok());
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    MeterBatch batch;
    status = driver->Step(link, batch);
    EXPECT_TRUE(batch.samples.empty());
  }
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST(Acd15pDecoderTest, PublishedReport) {
  Acd15pDecoder decoder;
  Frame whole = Acd15pVector();
  const Frame tail = FromHex("e89f87020000900a0000fc714e00010000002a0100000100");
  whole.insert(whole.end(), tail.begin(), tail.end());
  ASSERT_EQ(whole.size(), 64U);
  for (const Frame& frame : {Acd15pVector(), whole}) {
    const auto samples = decoder.Decode(frame);
    ASSERT_TRUE(samples.ok()) << samples.status();
    ASSERT_EQ(samples->size(), 1U);
    const MeterSample& sample = samples->front();
    EXPECT_EQ(sample.voltage_v, 5.220038);
    EXPECT_EQ(sample.current_a, 0.069429);
    EXPECT_EQ(sample.power_w, 0.362422);
    EXPECT_THAT(sample.more, ElementsAre(Pair("d_plus_v", 0.009103), Pair("d_minus_v", 0.005689),
                                         Pair("cc1_v", 0.863691), Pair("cc2_v", 3.306834),
                                         Pair("temperature_c", 28.826)));
  }
}

TEST(Acd15pDecoderTest, Damage) {
  ExpectTruncationsRefused(Acd15pCase());
  ExpectOrdersKeepValues(Acd15pCase());
  Acd15pDecoder decoder;
  for (std::size_t bit = 0; bit < 64; ++bit) {
    Frame frame = Acd15pVector();
    frame[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_TRUE(absl::IsDataLoss(decoder.Decode(frame).status())) << bit;
  }
  // What a KM001 Pro sends now and then looks like it.
  EXPECT_FALSE(decoder.Decode(Padded(FromHex("aa4062050b"))).ok());
}

TEST(Acd15pDriverTest, OneAnswerPerRequestWithItsStamps) {
  ScriptedLink link;
  link.on_write = [&link](const Frame&) { link.Arrive(link.now_ns() + 7 * kMs, Acd15pVector()); };
  link.Arrive(link.now_ns(), Acd15pVector());  // of before
  const auto driver = MakeAcd15pDriver(link.Clock());
  ASSERT_TRUE(driver->Start(link, 0).ok());
  std::vector<std::int64_t> asked;
  while (link.now_ns() < 11'000 * kMs) {
    MeterBatch batch;
    ASSERT_TRUE(driver->Step(link, batch).ok());
    if (batch.samples.empty()) continue;
    EXPECT_EQ(batch.samples.size(), 1U);
    ASSERT_TRUE(batch.asked_ns.has_value());
    EXPECT_EQ(batch.arrived_ns - *batch.asked_ns, 7 * kMs);
    asked.push_back(*batch.asked_ns);
  }
  EXPECT_EQ(asked.size(), 10U);
  for (std::size_t i = 1; i < asked.size(); ++i) EXPECT_EQ(asked[i] - asked[i - 1], 1'000 * kMs);
  EXPECT_EQ(link.written().size(), 10U);
  EXPECT_EQ(link.written()[0].bytes, Padded(FromHex("550522050b008ceeff")));
  EXPECT_LE(link.longest_wait_ns(), 250 * kMs);
}

// An answer that comes after the next request would be taken for its answer.
TEST(Acd15pDriverTest, ALateAnswerIsNotTheNextOnes) {
  ScriptedLink link;
  int asked = 0;
  link.on_write = [&](const Frame&) {
    link.Arrive(link.now_ns() + (++asked == 1 ? 990 : 7) * kMs, Acd15pVector());
  };
  const auto driver = MakeAcd15pDriver(link.Clock());
  ASSERT_TRUE(driver->Start(link, 0).ok());
  int samples = 0;
  while (link.now_ns() < 4'500 * kMs) {
    MeterBatch batch;
    ASSERT_TRUE(driver->Step(link, batch).ok());
    if (batch.samples.empty()) continue;
    ++samples;
    EXPECT_EQ(batch.arrived_ns - *batch.asked_ns, (samples == 1 ? 990 : 7) * kMs);
  }
  EXPECT_EQ(samples, 4);
}

// The middle of such a round trip says too little.
TEST(Acd15pDriverTest, AnAnswerReadTooLateIsRefused) {
  ScriptedLink link;
  link.on_write = [&link](const Frame&) {
    link.Arrive(link.now_ns() + 7 * kMs, Acd15pVector());
    link.Pass(1'200 * kMs);  // the host stands still
  };
  const auto driver = MakeAcd15pDriver(link.Clock());
  ASSERT_TRUE(driver->Start(link, 0).ok());
  MeterBatch batch;
  ASSERT_TRUE(driver->Step(link, batch).ok());
  EXPECT_TRUE(batch.samples.empty());
  EXPECT_EQ(batch.lost, 1);
  EXPECT_EQ(batch.rejected, 1);
  EXPECT_EQ(batch.refusal, "a round trip took 1200 ms, more than 1000 ms");
  EXPECT_EQ(Acd15pModel().stamp_bound_ns, 500 * kMs) << "half of the longest that is taken";
}

TEST(Acd15pDriverTest, SilenceAndGarbageEndInAnError) {
  for (const bool garbage : {false, true}) {
    ScriptedLink link;
    if (garbage) {
      link.on_write = [&link](const Frame&) { link.Arrive(link.now_ns() + kMs, Frame(64, 0x55)); };
    }
    const auto driver = MakeAcd15pDriver(link.Clock());
    ASSERT_TRUE(driver->Start(link, 0.5).ok());
    absl::Status status;
    std::int64_t rejected = 0;
    for (int i = 0; i < 1000 && status.ok(); ++i) {
      MeterBatch batch;
      status = driver->Step(link, batch);
      rejected += batch.rejected;
      EXPECT_TRUE(batch.samples.empty());
    }
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_EQ(rejected > 0, garbage);
  }
}

TEST(KingMeterModelTest, TheNameTellsThemApart) {
  UsbDevice device = HidDevice(0x0416, 0x5750);
  EXPECT_EQ(Km001ProModel().match(device), UsbMatch::kYes);
  EXPECT_EQ(Acd15pModel().match(device), UsbMatch::kNo);
  device.product_name = "ACD15P";
  EXPECT_EQ(Km001ProModel().match(device), UsbMatch::kNo);
  EXPECT_EQ(Acd15pModel().match(device), UsbMatch::kYes);
  device = HidDevice(0x0483, 0x5750);
  device.product_name = "STM32 Custom HID";
  EXPECT_EQ(Km001ProModel().match(device), UsbMatch::kNo);
  device.manufacturer = "POWER-Z";
  EXPECT_EQ(Km001ProModel().match(device), UsbMatch::kYes);
}

}  // namespace
}  // namespace joulefarm::agent
