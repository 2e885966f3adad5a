#include "agent/power/meter/tc66.h"

#include <openssl/evp.h>

#include <array>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/power/meter/bytes.h"
#include "agent/power/meter/checksum.h"
#include "agent/power/meter/serial_driver.h"
#include "agent/power/meter/stream_decoder.h"

namespace joulefarm::agent {
namespace {

constexpr std::array<std::uint8_t, 32> kKey = {
    0x58, 0x21, 0xFA, 0x56, 0x01, 0xB2, 0xF0, 0x26, 0x87, 0xFF, 0x12, 0x04, 0x62, 0x2A, 0x4F, 0xB0,
    0x86, 0xF4, 0x02, 0x60, 0x81, 0x6F, 0x9A, 0x0B, 0xA7, 0xF1, 0x06, 0x61, 0x9A, 0xB8, 0x72, 0x88};
constexpr std::size_t kBlock = 16;
constexpr std::size_t kPacket = 64;
constexpr std::size_t kPackets = 3;
constexpr std::size_t kFrame = kPackets * kPacket;
constexpr std::size_t kCrcAt = 60;
constexpr std::size_t kWord = 4;  // "pac1", "firm", "boot"

// 0 to 30 V, 0 to 5 A by its maker.
constexpr double kMaxVoltage = 32;
constexpr double kMaxCurrent = 6;
constexpr int kFastestMs = 80;

constexpr int kWriteMs = 250;
constexpr int kReplyMs = 500;
constexpr int kQuietMs = 50;

using Plain = std::array<std::uint8_t, kFrame>;

// `size`: whole blocks, at most a frame.
Plain Decrypt(Bytes bytes, std::size_t size) {
  Plain plain{};
  const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(),
                                                                           EVP_CIPHER_CTX_free);
  int out = 0;
  // On a failure nothing is decrypted, and the checks refuse it.
  if (context != nullptr &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_ecb(), nullptr, kKey.data(), nullptr) == 1 &&
      EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1) {
    EVP_DecryptUpdate(context.get(), plain.data(), &out, bytes.data(), static_cast<int>(size));
  }
  return plain;
}

bool Says(Bytes bytes, const char* word) {
  return bytes.size() >= kWord && std::memcmp(bytes.data(), word, kWord) == 0;
}

// Too few bytes to tell: it may.
bool Begins(Bytes bytes) {
  return bytes.size() < kBlock || Says(bytes, "firm") || Says(bytes, "boot") ||
         Says(Decrypt(bytes, kBlock), "pac1");
}

struct Reply {
  MeterIdentity identity;
  MeterSample sample;
};

absl::StatusOr<Reply> Read(const Plain& plain) {
  for (std::size_t i = 0; i < kPackets; ++i) {
    const Bytes packet = Bytes(plain).subspan(i * kPacket, kPacket);
    if (!Says(packet, absl::StrCat("pac", i + 1).c_str())) {
      return absl::DataLossError(absl::StrCat("packet ", i + 1, " does not begin with its name"));
    }
    if (U32Le(packet, kCrcAt) != Crc16Modbus(packet.subspan(0, kCrcAt))) {
      return absl::DataLossError(absl::StrCat("the check sum of packet ", i + 1, " is wrong"));
    }
  }
  const Bytes first = Bytes(plain).subspan(0, kPacket);
  const Bytes second = Bytes(plain).subspan(kPacket, kPacket);
  if (!Says(first.subspan(4), "TC66")) {
    return absl::DataLossError("not a TC66: the units of its numbers are not known");
  }
  Reply reply;
  reply.identity.serial = absl::StrCat(U32Le(first, 12));
  reply.identity.firmware = std::string(first.begin() + 8, first.begin() + 12);
  MeterSample& sample = reply.sample;
  sample.voltage_v = U32Le(first, 48) / 1e4;
  sample.current_a = U32Le(first, 52) / 1e5;
  sample.power_w = U32Le(first, 56) / 1e4;
  const std::uint32_t negative = U32Le(second, 24);
  if (negative > 1) {
    return absl::DataLossError(absl::StrCat("a sign of the temperature of ", negative));
  }
  const double temperature = U32Le(second, 28);
  sample.more = {{"load_ohm", U32Le(second, 4) / 10.0},
                 {"group0_mah", U32Le(second, 8)},
                 {"group0_mwh", U32Le(second, 12)},
                 {"group1_mah", U32Le(second, 16)},
                 {"group1_mwh", U32Le(second, 20)},
                 // In the unit its screen is set to, which it does not send.
                 {"temperature_c_or_f", negative == 1 ? -temperature : temperature},
                 {"d_plus_v", U32Le(second, 32) / 100.0},
                 {"d_minus_v", U32Le(second, 36) / 100.0},
                 {"power_on_count", U32Le(first, 44)}};
  if (absl::Status range = CheckRange(sample, kMaxVoltage, kMaxCurrent); !range.ok()) return range;
  return reply;
}

class Tc66Decoder final : public StreamDecoder {
 public:
  const MeterIdentity& identity() const { return identity_; }

 protected:
  Taken Take(Bytes arrived, std::vector<MeterSample>& samples) override {
    if (Says(arrived, "firm")) return {kWord, absl::OkStatus()};
    if (Says(arrived, "boot")) {
      return {kWord, absl::FailedPreconditionError(
                         "the TC66 waits for new firmware (it says \"boot\"): unplug it and plug "
                         "it in without holding a button")};
    }
    if (!Begins(arrived)) return RefuseUpTo(arrived, Begins, "bytes outside of a reply");
    if (arrived.size() < kFrame) return {};
    absl::StatusOr<Reply> reply = Read(Decrypt(arrived, kFrame));
    if (!reply.ok()) return RefuseUpTo(arrived, Begins, reply.status().message());
    identity_ = std::move(reply->identity);
    samples.push_back(std::move(reply->sample));
    return {kFrame, absl::OkStatus()};
  }

 private:
  MeterIdentity identity_;
};

class Tc66Driver final : public MeterDriver {
 public:
  Tc66Driver() : line_({'g', 'e', 't', 'v', 'a'}, kFrame, kFastestMs) {}

  absl::StatusOr<MeterIdentity> Start(Link& link, double rate_hz) override {
    if (absl::Status quiet = DrainLine(link, kQuietMs); !quiet.ok()) return quiet;
    if (absl::Status mode = CheckMode(link); !mode.ok()) return mode;
    line_.Start(rate_hz);
    MeterBatch first;
    constexpr int kTries = 3;
    for (int i = 0; i < kTries && first.samples.empty(); ++i) {
      if (absl::Status asked = line_.Poll(link, decoder_, first); !asked.ok()) return asked;
    }
    if (first.samples.empty()) {
      return absl::DeadlineExceededError(absl::StrCat(
          "no reply to getva that can be read", first.refusal.empty() ? "" : ": ", first.refusal));
    }
    return decoder_.identity();
  }

  absl::Status Step(Link& link, MeterBatch& batch) override {
    return line_.Poll(link, decoder_, batch);
  }

  // It only answers: there is nothing to stop.
  void Stop(Link& /*link*/) override {}

 private:
  absl::Status CheckMode(Link& link) {
    constexpr std::array<std::uint8_t, 5> kQuery = {'q', 'u', 'e', 'r', 'y'};
    if (absl::Status written = link.Write(kQuery, kWriteMs); !written.ok()) return written;
    std::vector<std::uint8_t> answer;
    while (answer.size() < kWord) {
      const absl::StatusOr<std::vector<std::uint8_t>> bytes =
          link.Read(kWord - answer.size(), kReplyMs);
      if (absl::IsDeadlineExceeded(bytes.status())) {
        return absl::DeadlineExceededError("no answer to query: not a TC66");
      }
      if (!bytes.ok()) return bytes.status();
      answer.insert(answer.end(), bytes->begin(), bytes->end());
    }
    if (Says(answer, "firm")) return absl::OkStatus();
    if (!Says(answer, "boot")) {
      return absl::DataLossError(
          absl::StrCat("the answer to query is ",
                       absl::BytesToHexString(absl::string_view(
                           reinterpret_cast<const char*>(answer.data()), answer.size())),
                       ", neither firm nor boot: not a TC66"));
    }
    return decoder_.Decode(answer).status();
  }

  Tc66Decoder decoder_;
  PolledLine line_;
};

UsbMatch Match(const UsbDevice& device) {
  // The vendor is the maker of its processor, so the ids alone say nothing; its product id is not
  // known for certain.
  constexpr std::uint16_t kVendor = 0x28E9;
  if (device.vendor != kVendor) return UsbMatch::kNo;
  const std::string name =
      absl::AsciiStrToLower(absl::StrCat(device.manufacturer, " ", device.product_name));
  return absl::StrContains(name, "ruideng") || absl::StrContains(name, "tc66") ? UsbMatch::kYes
                                                                               : UsbMatch::kNo;
}

}  // namespace

MeterModel Tc66Model() {
  MeterModel model;
  model.name = "tc66";
  model.title = "RuiDeng TC66, TC66C";
  model.link = LinkKind::kSerial;
  model.match = Match;
  model.max_rate_hz = 12.5;
  // A step takes up to half a second to settle; power and voltage x current differ by their
  // windows.
  model.kind = SampleKind::kAveraged;
  model.smoothing_ns = 500'000'000;
  model.refresh_ns = 100'000'000;
  model.stamp_bound_ns = PolledLine::kLongestRoundTripNs / 2;
  model.latency_u_ns = 100'000'000;
  model.resolution_w = 1e-4;
  model.max_voltage_v = kMaxVoltage;
  model.max_current_a = kMaxCurrent;
  model.gain_u = 0.005;
  model.offset_u_w = 0.005;
  model.make_decoder = [] { return std::make_unique<Tc66Decoder>(); };
  model.make_driver = [] { return std::make_unique<Tc66Driver>(); };
  model.tested = "capture";
  return model;
}

}  // namespace joulefarm::agent
