#include "agent/power/meter/tc66.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "tests/agent/power/meter/mutation.h"
#include "tests/agent/power/meter/serial_meter.h"
#include "tests/agent/power/meter/vectors/tc66.h"

namespace joulefarm::agent {
namespace {

using namespace tc66;  // NOLINT: the frames this is about

using ::testing::DoubleEq;
using ::testing::HasSubstr;

std::string RefusalOf(const Frame& frame) {
  return std::string(Tc66Model().make_decoder()->Decode(frame).status().message());
}

TEST(Tc66DecoderTest, TheRealReply) {
  const std::vector<MeterSample> samples = DecodeOne(Tc66Model(), FromHex(kReal));
  ASSERT_EQ(samples.size(), 1U);
  EXPECT_THAT(*samples[0].voltage_v, DoubleEq(5.1609));
  EXPECT_THAT(*samples[0].current_a, DoubleEq(0.01990));
  EXPECT_THAT(*samples[0].power_w, DoubleEq(0.1026));
  EXPECT_EQ(samples[0].t_ns, std::nullopt);
  EXPECT_THAT(More(samples[0], "load_ohm"), DoubleEq(259.3));
  EXPECT_EQ(More(samples[0], "group0_mah"), 0);
  EXPECT_EQ(More(samples[0], "group0_mwh"), 5);
  EXPECT_EQ(More(samples[0], "temperature_c_or_f"), 27);
  EXPECT_THAT(More(samples[0], "d_plus_v"), DoubleEq(2.81));
  EXPECT_THAT(More(samples[0], "d_minus_v"), DoubleEq(2.80));
  EXPECT_EQ(More(samples[0], "power_on_count"), 40);
}

TEST(Tc66DecoderTest, OtherNumbers) {
  const std::vector<MeterSample> samples =
      DecodeOne(Tc66Model(), Encrypted({.negative = 1, .temperature = 7}));
  ASSERT_EQ(samples.size(), 1U);
  EXPECT_EQ(samples[0].voltage_v, 20.0);
  EXPECT_EQ(samples[0].current_a, 3.25);
  EXPECT_EQ(samples[0].power_w, 65.0);
  EXPECT_EQ(More(samples[0], "temperature_c_or_f"), -7) << "its sign stands before it";
  EXPECT_EQ(More(samples[0], "group1_mah"), 70000);
  EXPECT_EQ(More(samples[0], "group1_mwh"), 80000);
  EXPECT_THAT(More(samples[0], "d_minus_v"), DoubleEq(3.30));
}

TEST(Tc66DecoderTest, RefusesByName) {
  for (int packet = 0; packet < 3; ++packet) {
    EXPECT_THAT(RefusalOf(Encrypted({.wrong_crc = packet})),
                HasSubstr("check sum of packet " + std::to_string(packet + 1)));
  }
  EXPECT_THAT(RefusalOf(Encrypted({.model = "TC99"})), HasSubstr("not a TC66"));
  EXPECT_THAT(RefusalOf(Encrypted({.volts_1e4 = 400'000})), HasSubstr("40 V"));
  EXPECT_THAT(RefusalOf(Encrypted({.negative = 3})), HasSubstr("sign of the temperature"));
  EXPECT_THAT(RefusalOf(Frame(192)), HasSubstr("outside of a reply"));
}

TEST(Tc66DecoderTest, UpdateModeIsNotADataError) {
  const absl::Status boot = Tc66Model().make_decoder()->Decode(FromText("boot")).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(boot)) << boot;
  EXPECT_TRUE(DecodeOne(Tc66Model(), FromText("firm")).empty());
}

// In one read or in several.
TEST(Tc66DecoderTest, UpdateModeIsHeardBehindGarbage) {
  const Frame line = Joined({{1, 2, 3}, FromText("boot"), Frame(192, 7)});
  for (const std::size_t size : {line.size(), std::size_t{1}}) {
    const auto decoder = Tc66Model().make_decoder();
    bool heard = false;
    for (std::size_t at = 0; at < line.size(); at += size) {
      absl::Status status = decoder->Decode(Bytes(line).subspan(at, size)).status();
      for (; !status.ok(); status = decoder->Decode({}).status()) {
        heard = heard || absl::IsFailedPrecondition(status);
      }
    }
    EXPECT_TRUE(heard) << size;
  }
}

TEST(Tc66DecoderTest, StandsDamage) {
  ExpectTruncationsRefused(Case());
  ExpectSplitsChangeNothing(Case());
  ExpectFlipsFound(Case());
  ExpectOrdersKeepValues(Case());
}

TEST(Tc66ModelTest, ItsProcessorsMakerIsNotEnough) {
  const auto match = Tc66Model().match;
  EXPECT_EQ(match({.vendor = 0x28E9, .product = 0x018A, .manufacturer = "RuiDeng"}),
            UsbMatch::kYes);
  EXPECT_EQ(match({.vendor = 0x28E9, .product = 0x0189, .manufacturer = "GDMicroelectronics"}),
            UsbMatch::kNo);
  EXPECT_EQ(match({.vendor = 0x1234, .manufacturer = "RuiDeng"}), UsbMatch::kNo);
}

// A meter that obeys; `getva` is answered with the replies in turn, then not at all.
class Meter {
 public:
  Meter(std::string mode, std::vector<PeerReply> replies)
      : mode_(std::move(mode)), replies_(std::move(replies)) {}
  PeerReply operator()(const std::vector<std::uint8_t>& asked) {
    if (asked.size() < 5) return {};
    const std::string command(asked.begin(), asked.end());
    commands->push_back(command);
    if (command == "query") return {FromText(mode_)};
    if (command == "getva" && next_ < replies_.size()) return replies_[next_++];
    return {};
  }
  std::shared_ptr<std::vector<std::string>> commands = std::make_shared<std::vector<std::string>>();

 private:
  const std::string mode_;
  const std::vector<PeerReply> replies_;
  std::size_t next_ = 0;
};

TEST(Tc66DriverTest, SaysWhoItIsAndReads) {
  const Meter meter("firm", {{FromHex(kReal)}, {FromHex(kReal)}, {Encrypted({})}});
  PtyPeer peer(meter);
  Conversation talk(Tc66Model(), peer);
  const auto identity = talk.Start();
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->serial, "48724");
  EXPECT_EQ(identity->firmware, "1.18");
  ASSERT_TRUE(talk.StepUntil(2).ok());
  EXPECT_EQ(talk.seen.samples[0].power_w, 0.1026);
  EXPECT_EQ(talk.seen.samples[1].power_w, 65.0);
  EXPECT_TRUE(talk.seen.asked_ns.has_value());
  EXPECT_EQ(talk.seen.rejected, 0);
  for (const std::string& command : *meter.commands) {
    EXPECT_TRUE(command == "query" || command == "getva") << command;
  }
}

TEST(Tc66DriverTest, UpdateModeIsLeftAlone) {
  const Meter meter("boot", {});
  PtyPeer peer(meter);
  Conversation talk(Tc66Model(), peer);
  const absl::Status boot = talk.Start().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(boot)) << boot;
  EXPECT_THAT(std::string(boot.message()), HasSubstr("unplug it"));
  EXPECT_EQ(meter.commands->size(), 1U) << "nothing after the query";
}

TEST(Tc66DriverTest, AnotherDevice) {
  PtyPeer mute([](const std::vector<std::uint8_t>&) { return PeerReply{}; });
  Conversation silent(Tc66Model(), mute);
  EXPECT_TRUE(absl::IsDeadlineExceeded(silent.Start().status()));
  PtyPeer modem([](const std::vector<std::uint8_t>&) { return PeerReply{FromText("ERROR\r\n")}; });
  Conversation other(Tc66Model(), modem);
  const absl::Status wrong = other.Start().status();
  EXPECT_TRUE(absl::IsDataLoss(wrong)) << wrong;
}

TEST(Tc66DriverTest, BadRepliesAreCountedAndPassed) {
  Frame damaged = FromHex(kReal);
  damaged[100] ^= 4;
  Frame half = FromHex(kReal);
  half.resize(100);
  const Frame longer = Joined({FromHex(kReal), {1, 2, 3}});
  PtyPeer peer(Meter("firm", {{FromHex(kReal)}, {damaged}, {half}, {longer}, {Encrypted({})}}));
  Conversation talk(Tc66Model(), peer);
  ASSERT_TRUE(talk.Start().ok());
  ASSERT_TRUE(talk.StepUntil(1).ok());
  EXPECT_EQ(talk.seen.samples[0].power_w, 65.0);
  EXPECT_EQ(talk.seen.rejected, 3) << talk.seen.refusal;
}

TEST(Tc66DriverTest, AStallIsAnEmptyStep) {
  PtyPeer peer(Meter("firm", {{FromHex(kReal)}}));
  Conversation talk(Tc66Model(), peer);
  ASSERT_TRUE(talk.Start().ok());
  MeterBatch batch;
  EXPECT_TRUE(talk.StepOnce(batch).ok());
  EXPECT_TRUE(batch.samples.empty());
  EXPECT_EQ(batch.rejected, 0);
}

TEST(Tc66DriverTest, UnpluggedInTheMiddleOfAReply) {
  Frame half = FromHex(kReal);
  half.resize(100);
  PtyPeer peer(Meter("firm", {{FromHex(kReal)}, {half, true}}));
  Conversation talk(Tc66Model(), peer);
  ASSERT_TRUE(talk.Start().ok());
  const absl::Status gone = talk.StepUntil(1);
  EXPECT_TRUE(absl::IsUnavailable(gone)) << gone;
}

}  // namespace
}  // namespace joulefarm::agent
