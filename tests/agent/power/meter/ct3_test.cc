#include "agent/power/meter/ct3.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "tests/agent/power/meter/mutation.h"
#include "tests/agent/power/meter/serial_meter.h"
#include "tests/agent/power/meter/vectors/ct3.h"

namespace joulefarm::agent {
namespace {

using namespace ct3;  // NOLINT: the frames this is about

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

Frame Sample(int i) {
  return Data({5.0F + static_cast<float>(i), 0.25F, 1.25F, 2.75F, 0.5F},
              1'000'000 + 1000 * static_cast<std::uint64_t>(i));
}

std::string RefusalOf(const Frame& frame) {
  return std::string(Ct3Model().make_decoder()->Decode(frame).status().message());
}

TEST(Ct3DecoderTest, TheDocumentedFrame) {
  const std::vector<MeterSample> samples = DecodeOne(Ct3Model(), FromHex(kData));
  ASSERT_EQ(samples.size(), 1U);
  EXPECT_EQ(samples[0].voltage_v, 5.125);
  EXPECT_EQ(samples[0].current_a, 0.5);
  EXPECT_EQ(samples[0].power_w, 2.5625);
  EXPECT_EQ(samples[0].t_ns, 123'456'789'000);
  EXPECT_THAT(samples[0].more, ElementsAre(Pair("d_plus_v", 2.75), Pair("d_minus_v", 2.75)));
}

TEST(Ct3DecoderTest, AReplyHasNoSample) {
  EXPECT_TRUE(DecodeOne(Ct3Model(), FromHex(kAck)).empty());
  EXPECT_EQ(DecodeOne(Ct3Model(), Joined({FromHex(kAck), FromHex(kData), FromHex(kAck)})).size(),
            1U);
}

TEST(Ct3DecoderTest, ShorterPayloadsHaveLess) {
  const std::vector<MeterSample> two = DecodeOne(Ct3Model(), Data({5.0F, -1.5F}, 7));
  ASSERT_EQ(two.size(), 1U);
  EXPECT_EQ(two[0].power_w, -7.5) << "of the same instant, the sign kept";
  EXPECT_EQ(two[0].t_ns, 7000);
  EXPECT_TRUE(two[0].more.empty());
  const std::vector<MeterSample> three = DecodeOne(Ct3Model(), Data({5.0F, 1.5F, 7.25F}, 7));
  ASSERT_EQ(three.size(), 1U);
  EXPECT_EQ(three[0].power_w, 7.25) << "its own where it sends one";
}

TEST(Ct3DecoderTest, RefusesByName) {
  Frame wrong = FromHex(kData);
  wrong[wrong.size() - 2] ^= 1;
  EXPECT_THAT(RefusalOf(wrong), HasSubstr("check sum"));
  Frame endless = FromHex(kData);
  endless.back() = 0;
  EXPECT_THAT(RefusalOf(endless), HasSubstr("end mark"));
  EXPECT_THAT(RefusalOf({0xA5, 0, 0, 0, 1, 4, 0}), HasSubstr("16777216 bytes"));
  EXPECT_THAT(RefusalOf({1, 2, 3}), HasSubstr("outside of a frame"));
  EXPECT_THAT(RefusalOf(Data({5.0F}, 7)), HasSubstr("unknown layout"));
  EXPECT_THAT(RefusalOf(Data({90.0F, 1.0F}, 7)), HasSubstr("90 V"));
  EXPECT_THAT(RefusalOf(Data({5.0F, -90.0F}, 7)), HasSubstr("-90 A"));
  EXPECT_THAT(RefusalOf(Data({5.0F, 1.0F, 1e6F}, 7)), HasSubstr("W: beyond"));
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(RefusalOf(Data({kNan, 1.0F}, 7)), HasSubstr("not a measurement"));
  EXPECT_THAT(RefusalOf(Data({5.0F, 1.0F, 5.0F, kNan}, 7)), HasSubstr("d_plus_v"));
  EXPECT_THAT(RefusalOf(Data({5.0F, 1.0F}, ~std::uint64_t{0})), HasSubstr("a clock of"));
}

TEST(Ct3DecoderTest, WhatFollowsARefusalIsDecoded) {
  const auto decoder = Ct3Model().make_decoder();
  Frame wrong = FromHex(kData);
  wrong[10] ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(
      decoder->Decode(Joined({FromHex(kData), wrong, Data({9.0F, 1.0F}, 201'000'000)})).status()));
  const auto rest = decoder->Decode({});
  ASSERT_TRUE(rest.ok()) << rest.status();
  ASSERT_EQ(rest->size(), 2U) << "before and behind it";
  EXPECT_EQ((*rest)[0].voltage_v, 5.125);
  EXPECT_EQ((*rest)[1].t_ns, 201'000'000'000);
}

TEST(Ct3DecoderTest, AtTheEndWhatIsCutOffIsRefused) {
  const auto decoder = Ct3Model().make_decoder();
  Frame half = Data({9.0F, 1.0F}, 201'000'000);
  half.resize(10);
  EXPECT_EQ(decoder->Decode(Joined({FromHex(kData), half}))->size(), 1U);
  const absl::Status cut = decoder->Finish().status();
  EXPECT_TRUE(absl::IsDataLoss(cut)) << cut;
  EXPECT_THAT(std::string(cut.message()), HasSubstr("10 bytes at the end"));
  EXPECT_TRUE(decoder->Finish().ok());
}

TEST(Ct3DecoderTest, AClockThatGoesBackIsRefusedOnceAndGoesOn) {
  const auto decoder = Ct3Model().make_decoder();
  ASSERT_TRUE(decoder->Decode(Sample(9)).ok());
  const absl::Status back = decoder->Decode(Sample(3)).status();
  EXPECT_THAT(std::string(back.message()), HasSubstr("clock went from"));
  const auto on = decoder->Decode(Sample(4));
  ASSERT_TRUE(on.ok()) << on.status();
  EXPECT_EQ(on->size(), 1U);
  decoder->Reset();
  EXPECT_TRUE(decoder->Decode(Sample(1)).ok()) << "opened again: any clock";
}

TEST(Ct3DecoderTest, StandsDamage) {
  ExpectTruncationsRefused(Case());
  ExpectSplitsChangeNothing(Case());
  ExpectFlipsFound(Case());
  ExpectOrdersKeepValues(Case());
}

TEST(Ct3ModelTest, TheIdsAloneAreNotEnough) {
  const auto match = Ct3Model().match;
  UsbDevice device{.vendor = 0x0483, .product = 0xFFFF, .product_name = "AVHzY CT-3"};
  EXPECT_EQ(match(device), UsbMatch::kYes);
  device.product = 0xFFFE;
  EXPECT_EQ(match(device), UsbMatch::kYes);
  device.product = 0x5740;
  EXPECT_EQ(match(device), UsbMatch::kNo);
  device = {.vendor = 0x0483,
            .product = 0x374B,
            .manufacturer = "STMicroelectronics",
            .product_name = "STM32 STLink"};
  EXPECT_EQ(match(device), UsbMatch::kNo) << "a debugger";
  device = {.vendor = 0x0483, .product = 0x374B, .product_name = "Shizuku in Application Mode"};
  EXPECT_EQ(match(device), UsbMatch::kYes);
  device.product_name = "Shizuku in Bootloader Mode";
  EXPECT_EQ(match(device), UsbMatch::kFirmwareUpdate);
  device.product_name = "";
  EXPECT_EQ(match(device), UsbMatch::kNo);
}

// A meter that obeys: replies, and sends `frames` after the start command.
class Meter {
 public:
  explicit Meter(std::vector<Frame> frames, bool hangs_up = false)
      : frames_(std::move(frames)), hangs_up_(hangs_up) {}
  PeerReply operator()(const std::vector<std::uint8_t>& asked) {
    if (asked.size() < 5 || asked.size() < asked[1] + 7U) return {};
    commands->push_back(asked);
    Frame reply = Framed({0x01, asked[6], asked[7], 0x80});
    if (asked[6] != 0x09) return {reply};
    for (const Frame& frame : frames_) reply.insert(reply.end(), frame.begin(), frame.end());
    return {reply, hangs_up_};
  }
  // Written by the peer's thread before it replies, read by the test after the reply.
  std::shared_ptr<std::vector<Frame>> commands = std::make_shared<std::vector<Frame>>();

 private:
  std::vector<Frame> frames_;
  bool hangs_up_;
};

TEST(Ct3DriverTest, StopsStartsAndReads) {
  const Meter meter([] {
    std::vector<Frame> frames;
    for (std::uint64_t i = 0; i < 300; ++i) frames.push_back(Data({5.0F, 0.5F}, 1000 * i + 1));
    return frames;
  }());
  PtyPeer peer(meter);
  Conversation talk(Ct3Model(), peer);
  const auto identity = talk.Start();
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->serial, std::nullopt) << "USB says it, the protocol does not";
  ASSERT_TRUE(talk.StepUntil(300).ok());
  EXPECT_EQ(talk.seen.rejected, 0);
  EXPECT_EQ(talk.seen.lost, 0);
  for (std::size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(talk.seen.samples[i].t_ns, 1'000'000 * static_cast<std::int64_t>(i) + 1000);
  }
  talk.Stop();
  ASSERT_EQ(meter.commands->size(), 3U);
  EXPECT_EQ((*meter.commands)[0], FromHex("a504000000 01070000 06 5a")) << "seen on real meters";
  EXPECT_EQ((*meter.commands)[1], FromHex("a508000000 0109010001000000 08 5a"));
  EXPECT_EQ((*meter.commands)[2], FromHex("a504000000 01070200 04 5a"));
}

TEST(Ct3DriverTest, TheNearestRateItHas) {
  const Meter meter({Sample(0)});
  PtyPeer peer(meter);
  Conversation talk(Ct3Model(), peer);
  ASSERT_TRUE(talk.Start(100).ok());
  EXPECT_EQ((*meter.commands)[1], FromHex("a508000000 010901000a000000 03 5a")) << "documented";
}

TEST(Ct3DriverTest, GapsOfItsClockAreCounted) {
  PtyPeer peer(Meter({Data({5.0F, 0.5F}, 1000), Data({5.0F, 0.5F}, 2100), Data({5.0F, 0.5F}, 9000),
                      Data({5.0F, 0.5F}, 9900)}));
  Conversation talk(Ct3Model(), peer);
  ASSERT_TRUE(talk.Start().ok());
  ASSERT_TRUE(talk.StepUntil(4).ok());
  EXPECT_EQ(talk.seen.lost, 6) << "2.1 to 9 ms at 1 ms each";
}

TEST(Ct3DriverTest, AClockAtItsEndIsCounted) {
  constexpr std::uint64_t kLastUs = INT64_MAX / 1000;
  PtyPeer peer(Meter({Data({5.0F, 0.5F}, 0), Data({5.0F, 0.5F}, kLastUs)}));
  Conversation talk(Ct3Model(), peer);
  ASSERT_TRUE(talk.Start().ok());
  ASSERT_TRUE(talk.StepUntil(2).ok());
  EXPECT_EQ(talk.seen.lost, std::int64_t{kLastUs / 1000});
}

TEST(Ct3DriverTest, GarbageIsCountedAndPassed) {
  Frame wrong = Sample(2);
  wrong[12] ^= 0x10;
  PtyPeer peer(Meter({FromHex("00ffa5a5"), Sample(1), wrong, Sample(3)}));
  Conversation talk(Ct3Model(), peer);
  ASSERT_TRUE(talk.Start().ok());
  ASSERT_TRUE(talk.StepUntil(2).ok());
  EXPECT_EQ(talk.seen.samples[0].voltage_v, 6.0);
  EXPECT_EQ(talk.seen.samples[1].voltage_v, 8.0);
  EXPECT_GE(talk.seen.rejected, 2);
  EXPECT_FALSE(talk.seen.refusal.empty());
}

TEST(Ct3DriverTest, AStallIsAnEmptyStep) {
  PtyPeer peer(Meter({}));
  Conversation talk(Ct3Model(), peer);
  ASSERT_TRUE(talk.Start().ok());
  MeterBatch batch;
  EXPECT_TRUE(talk.StepOnce(batch).ok());
  EXPECT_TRUE(batch.samples.empty());
  EXPECT_EQ(batch.rejected, 0);
}

TEST(Ct3DriverTest, NobodyRepliesToStop) {
  PtyPeer peer([](const std::vector<std::uint8_t>&) { return PeerReply{}; });
  Conversation talk(Ct3Model(), peer);
  const absl::Status mute = talk.Start().status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(mute)) << mute;
}

TEST(Ct3DriverTest, UnpluggedInTheMiddleOfAFrame) {
  Frame half = Sample(1);
  half.resize(half.size() / 2);
  PtyPeer peer(Meter({Sample(0), half}, true));
  Conversation talk(Ct3Model(), peer);
  absl::Status end = talk.Start().status();
  if (end.ok()) end = talk.StepUntil(100);
  EXPECT_TRUE(absl::IsUnavailable(end)) << end;
  EXPECT_LE(talk.seen.samples.size(), 1U);
}

}  // namespace
}  // namespace joulefarm::agent
