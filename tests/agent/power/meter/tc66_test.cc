#include "agent/power/meter/tc66.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <memory>

#include "agent/power/meter/checksum.h"
#include "tests/agent/power/meter/mutation.h"
#include "tests/agent/power/meter/serial_meter.h"

namespace joulefarm::agent {
namespace {

using ::testing::DoubleEq;
using ::testing::HasSubstr;

// Read from a real TC66: shared/design/meters.md, section 6.
constexpr const char* kReal =
    "006630928cdbb01e307647693bac80b012a60ec3c8645b9af0ead3c57ae5a0628f330593ff8f836a2a36d60f8709fc"
    "4f"
    "c5ec277ef1b0dbb4815a9497d8646eb206f404f8061c1177e994f37dfc6f4dab07385ea4d05c1e32616e88527b57d3"
    "10"
    "6babf8c170d31db582db234384fa559313e92b412f6af4e16e09168c608fba0a4231f411e56f5c203c590b4a68fd5b"
    "09"
    "2aca6ec4a4554d5542e8674b097e259c2aca6ec4a4554d5542e8674b097e259ce09c4004c92da948c3165eebdb8b9e"
    "c2";
constexpr const char* kKey = "5821fa5601b2f02687ff1204622a4fb086f40260816f9a0ba7f106619ab87288";

void Put(Frame& plain, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) plain[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

struct Numbers {
  std::uint32_t volts_1e4 = 200000;
  std::uint32_t amps_1e5 = 325000;
  std::uint32_t watts_1e4 = 650000;
  std::uint32_t negative = 0;
  std::uint32_t temperature = 41;
  const char* model = "TC66";
  int wrong_crc = -1;  // of this packet
};

Frame Encrypted(const Numbers& of) {
  Frame plain(192);
  for (std::size_t packet = 0; packet < 3; ++packet) {
    const std::string name = "pac" + std::to_string(packet + 1);
    std::copy(name.begin(), name.end(), plain.begin() + static_cast<std::ptrdiff_t>(packet * 64));
  }
  const std::string model = std::string(of.model) + "1.14";
  std::copy(model.begin(), model.end(), plain.begin() + 4);
  Put(plain, 12, 4711);
  Put(plain, 44, 17);
  Put(plain, 48, of.volts_1e4);
  Put(plain, 52, of.amps_1e5);
  Put(plain, 56, of.watts_1e4);
  Put(plain, 64 + 4, 62);
  Put(plain, 64 + 8, 1000);
  Put(plain, 64 + 12, 5000);
  Put(plain, 64 + 16, 70000);
  Put(plain, 64 + 20, 80000);
  Put(plain, 64 + 24, of.negative);
  Put(plain, 64 + 28, of.temperature);
  Put(plain, 64 + 32, 60);
  Put(plain, 64 + 36, 330);
  for (int packet = 0; packet < 3; ++packet) {
    const std::size_t at = static_cast<std::size_t>(packet) * 64;
    const std::uint16_t crc = Crc16Modbus(Bytes(plain).subspan(at, 60));
    Put(plain, at + 60, packet == of.wrong_crc ? crc ^ 1U : crc);
  }
  const std::vector<std::uint8_t> key = FromHex(kKey);
  const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(),
                                                                           EVP_CIPHER_CTX_free);
  Frame bytes(plain.size());
  int size = 0;
  EXPECT_EQ(EVP_EncryptInit_ex(context.get(), EVP_aes_256_ecb(), nullptr, key.data(), nullptr), 1);
  EVP_CIPHER_CTX_set_padding(context.get(), 0);
  EXPECT_EQ(EVP_EncryptUpdate(context.get(), bytes.data(), &size, plain.data(),
                              static_cast<int>(plain.size())),
            1);
  EXPECT_EQ(size, 192);
  return bytes;
}

std::string RefusalOf(const Frame& frame) {
  return std::string(Tc66Model().make_decoder()->Decode(frame).status().message());
}

MutationCase Case() {
  return {.make = Tc66Model().make_decoder,
          .frames = {FromHex(kReal), Encrypted({}),
                     Encrypted({.volts_1e4 = 0, .amps_1e5 = 0, .watts_1e4 = 0, .negative = 1})},
          .stream = true,
          .max_voltage_v = 32,
          .max_current_a = 6,
          .finish_refuses = true};
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

TEST(Tc66DecoderTest, StandsDamage) {
  ExpectTruncationsRefused(Case());
  ExpectSplitsChangeNothing(Case());
  ExpectFlipsFound(Case());
  ExpectOrdersKeepValues(Case());
  ExpectSurvivesDamage(Case(), 1500);
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
