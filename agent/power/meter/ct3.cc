#include "agent/power/meter/ct3.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/power/meter/bytes.h"
#include "agent/power/meter/checksum.h"
#include "agent/power/meter/serial_driver.h"
#include "agent/power/meter/stream_decoder.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

// A frame: begin, u32 length, payload, xor of the payload, end.
constexpr std::uint8_t kBegin = 0xA5;
constexpr std::uint8_t kEnd = 0x5A;
constexpr std::size_t kAround = 7;
constexpr std::size_t kPayloadAt = 5;
constexpr std::size_t kHeader = 4;
// Known payloads have up to 32 bytes; a length beyond this is not one.
constexpr std::uint32_t kMostPayload = 128;
constexpr std::size_t kClockSize = 8;
constexpr std::int64_t kNsPerUs = 1000;

constexpr std::uint8_t kStop = 0x07;
constexpr std::uint8_t kStart = 0x09;
constexpr std::uint8_t kReplied = 0x80;

// Above every model's range (26 V, 6 A).
constexpr double kMaxVoltage = 36;
constexpr double kMaxCurrent = 10;

constexpr int kReplyMs = 500;
// So that a host that stood still does not take what has arrived for silence.
constexpr int kLeastReads = 10;
constexpr int kWriteMs = 250;
constexpr int kStepMs = 250;
constexpr int kQuietMs = 30;
constexpr std::size_t kReadSize = 4096;
constexpr double kMaxRateHz = 1000;
// Slower ones are read frame by frame.
constexpr std::int64_t kPileUpBelowNs = 5'000'000;

bool Begins(Bytes bytes) { return bytes[0] == kBegin; }

class Ct3Decoder final : public StreamDecoder {
 public:
  // The interval that was asked for, so that missing samples can be told; 0: not known.
  void set_interval_ns(std::int64_t interval_ns) { interval_ns_ = interval_ns; }
  bool TakeReply(std::uint8_t request) {
    const auto found = std::find(replies_.begin(), replies_.end(), request);
    if (found == replies_.end()) return false;
    replies_.clear();
    return true;
  }
  std::int64_t TakeLost() override { return std::exchange(lost_, 0); }
  void Reset() override {
    StreamDecoder::Reset();
    replies_.clear();
    last_ns_.reset();
    lost_ = 0;
  }

 protected:
  Taken Take(Bytes arrived, std::vector<MeterSample>& samples) override {
    if (!Begins(arrived)) return RefuseUpTo(arrived, Begins, "bytes outside of a frame");
    if (arrived.size() < kPayloadAt) return {};
    const std::uint32_t size = U32Le(arrived, 1);
    if (size < kHeader || size > kMostPayload) {
      return RefuseUpTo(arrived, Begins, absl::StrCat("a payload of ", size, " bytes"));
    }
    if (arrived.size() < size + kAround) return {};
    const Bytes payload = arrived.subspan(kPayloadAt, size);
    if (arrived[kPayloadAt + size + 1] != kEnd) {
      return RefuseUpTo(arrived, Begins, "a frame without its end mark");
    }
    if (Xor8(payload) != arrived[kPayloadAt + size]) {
      return RefuseUpTo(arrived, Begins, "the check sum of a frame is wrong");
    }
    return {size + kAround, Payload(payload, samples)};
  }

 private:
  absl::Status Payload(Bytes payload, std::vector<MeterSample>& samples) {
    if (payload.size() == kHeader && payload[3] == kReplied) {
      replies_.push_back(payload[2]);
      return absl::OkStatus();
    }
    if (payload[0] != 0x04) return absl::OkStatus();  // requests, and kinds nobody described
    // Voltage and current, then up to three more floats, then the clock.
    const std::size_t floats = (payload.size() - kHeader - kClockSize) / sizeof(float);
    if (payload[1] != 0 || payload[3] != 0 || payload.size() % sizeof(float) != 0 ||
        payload.size() < kHeader + 2 * sizeof(float) + kClockSize) {
      return absl::DataLossError(
          absl::StrCat("data of an unknown layout, ", payload.size(), " bytes"));
    }
    MeterSample sample;
    const auto value = [&](std::size_t i) -> double {
      return F32Le(payload, kHeader + i * sizeof(float));
    };
    sample.voltage_v = value(0);
    sample.current_a = value(1);
    sample.power_w = floats > 2 ? value(2) : *sample.voltage_v * *sample.current_a;
    if (floats > 3) sample.more.emplace_back("d_plus_v", value(3));
    if (floats > 4) sample.more.emplace_back("d_minus_v", value(4));
    if (absl::Status range = CheckRange(sample, kMaxVoltage, kMaxCurrent); !range.ok()) {
      return range;
    }
    const std::uint64_t us = U64Le(payload, payload.size() - kClockSize);
    if (us > std::numeric_limits<std::int64_t>::max() / kNsPerUs) {
      return absl::DataLossError(absl::StrCat("a clock of ", us, " us"));
    }
    const std::int64_t now_ns = static_cast<std::int64_t>(us) * kNsPerUs;
    const std::optional<std::int64_t> last_ns = std::exchange(last_ns_, now_ns);
    if (last_ns && now_ns <= *last_ns) {
      return absl::DataLossError(
          absl::StrCat("the meter's clock went from ", *last_ns, " to ", now_ns, " ns"));
    }
    if (last_ns && interval_ns_ > 0) {
      // Rounded; written so that no clock is too far ahead.
      lost_ += std::max<std::int64_t>(0, now_ns - *last_ns - interval_ns_ / 2) / interval_ns_;
    }
    sample.t_ns = now_ns;
    samples.push_back(std::move(sample));
    return absl::OkStatus();
  }

  std::int64_t interval_ns_ = 0;
  std::vector<std::uint8_t> replies_;
  std::optional<std::int64_t> last_ns_;
  std::int64_t lost_ = 0;
};

class Ct3Driver final : public MeterDriver {
 public:
  Ct3Driver(std::function<std::int64_t()> now, std::function<void()> pile_up)
      : now_(std::move(now)), pile_up_(std::move(pile_up)) {}

  absl::StatusOr<MeterIdentity> Start(Link& link, double rate_hz) override {
    decoder_.Reset();
    decoder_.set_interval_ns(0);
    early_ = MeterBatch();
    if (absl::Status stopped = Command(link, kStop, {}); !stopped.ok()) return stopped;
    if (absl::Status quiet = DrainLine(link, kQuietMs); !quiet.ok()) return quiet;
    decoder_.Reset();
    early_ = MeterBatch();
    const double rate = rate_hz > 0 ? std::min(rate_hz, kMaxRateHz) : kMaxRateHz;
    constexpr double kMsPerSecond = 1000;
    constexpr double kSlowestMs = 60'000;
    const auto interval_ms =
        static_cast<std::uint32_t>(std::round(std::min(kMsPerSecond / rate, kSlowestMs)));
    interval_ns_ = std::int64_t{interval_ms} * 1'000'000;
    decoder_.set_interval_ns(interval_ns_);
    std::vector<std::uint8_t> interval;
    for (int shift = 0; shift < 32; shift += 8) {
      interval.push_back(static_cast<std::uint8_t>(interval_ms >> shift));
    }
    if (absl::Status started = Command(link, kStart, interval); !started.ok()) return started;
    return MeterIdentity{};
  }

  absl::Status Step(Link& link, MeterBatch& batch) override {
    batch = std::exchange(early_, MeterBatch());
    if (!batch.samples.empty()) return absl::OkStatus();
    if (interval_ns_ < kPileUpBelowNs) {
      pile_up_();
      const absl::Status read = ReadInto(link, kReadSize, 0, decoder_, batch, now_);
      if (!read.ok()) return read;
    }
    // To the instant at which a frame comes. What was there before it was late by chance, or, where
    // the wait is about a multiple of the interval, by as much each time.
    const absl::Status read = ReadInto(link, kReadSize, kStepMs, decoder_, batch, now_);
    // What has piled up is not given up for a line that broke; the next step meets the error again.
    return batch.samples.empty() ? read : absl::OkStatus();
  }

  void Stop(Link& link) override { Command(link, kStop, {}).IgnoreError(); }

 private:
  // Sends it and waits for its reply; samples that come in between are kept in `early_`.
  absl::Status Command(Link& link, std::uint8_t command, const std::vector<std::uint8_t>& args) {
    const std::uint8_t request = request_++;
    std::vector<std::uint8_t> payload = {0x01, command, request, 0x00};
    payload.insert(payload.end(), args.begin(), args.end());
    std::vector<std::uint8_t> frame = {kBegin, static_cast<std::uint8_t>(payload.size()), 0, 0, 0};
    frame.insert(frame.end(), payload.begin(), payload.end());
    frame.push_back(Xor8(payload));
    frame.push_back(kEnd);
    if (absl::Status written = link.Write(frame, kWriteMs); !written.ok()) return written;
    const std::int64_t end_ns = now_() + std::int64_t{kReplyMs} * 1'000'000;
    for (int reads = 0; reads < kLeastReads || now_() < end_ns; ++reads) {
      if (absl::Status read =
              ReadInto(link, kReadSize, kReplyMs / kLeastReads, decoder_, early_, now_);
          !read.ok()) {
        return read;
      }
      if (decoder_.TakeReply(request)) return absl::OkStatus();
    }
    return absl::DeadlineExceededError(
        absl::StrCat("no reply to command ", command,
                     ": not a meter of this family, or its menu or script mode is in the way"));
  }

  const std::function<std::int64_t()> now_;
  const std::function<void()> pile_up_;
  std::int64_t interval_ns_ = 0;
  Ct3Decoder decoder_;
  MeterBatch early_;
  std::uint8_t request_ = 0;
};

UsbMatch Match(const UsbDevice& device) {
  constexpr std::uint16_t kVendor = 0x0483;
  constexpr std::array<std::uint16_t, 3> kProducts = {0xFFFF, 0xFFFE, 0x374B};
  if (device.vendor != kVendor ||
      std::find(kProducts.begin(), kProducts.end(), device.product) == kProducts.end()) {
    return UsbMatch::kNo;
  }
  // The ids are STMicroelectronics' own: an ST-Link has them as well.
  const std::string name =
      absl::AsciiStrToLower(absl::StrCat(device.manufacturer, " ", device.product_name));
  if (absl::StrContains(name, "st-link") || absl::StrContains(name, "stlink")) {
    return UsbMatch::kNo;
  }
  for (const char* known :
       {"shizuku", "avhzy", "ct-3", "ct3", "c-3", "c3", "yk001", "yk003", "kt002", "ut18"}) {
    if (!absl::StrContains(name, known)) continue;
    return absl::StrContains(name, "boot") || absl::StrContains(name, "dfu")
               ? UsbMatch::kFirmwareUpdate
               : UsbMatch::kYes;
  }
  return UsbMatch::kNo;
}

}  // namespace

std::unique_ptr<MeterDriver> MakeCt3Driver(std::function<std::int64_t()> now,
                                           std::function<void()> pile_up) {
  return std::make_unique<Ct3Driver>(std::move(now), std::move(pile_up));
}

MeterModel Ct3Model() {
  MeterModel model;
  model.name = "ct3";
  model.title = "AVHzY CT-3/C3, Shizuku, POWER-Z KT002, ATORCH UT18";
  model.link = LinkKind::kSerial;
  model.match = Match;
  model.max_rate_hz = kMaxRateHz;
  model.own_clock = true;
  model.kind = SampleKind::kInstant;
  model.refresh_ns = 1'000'000;
  model.latency_u_ns = 2'000'000;
  model.resolution_w = 1e-6;
  model.max_voltage_v = kMaxVoltage;
  model.max_current_a = kMaxCurrent;
  model.gain_u = 0.005;
  model.offset_u_w = 0.005;
  model.make_decoder = [] { return std::make_unique<Ct3Decoder>(); };
  model.make_driver = [] { return MakeCt3Driver(BoottimeNs, LetPileUp); };
  model.tested = "derived bytes";
  return model;
}

}  // namespace joulefarm::agent
