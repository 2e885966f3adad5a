#include "agent/power/meter/km003c.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/power/meter/bytes.h"
#include "agent/power/meter/round_trip.h"

namespace joulefarm::agent {
namespace {

constexpr std::uint16_t kVendor = 0x5FC9;
constexpr std::uint16_t kKm003c = 0x0063;
constexpr std::uint16_t kKm002c = 0x0061;

// Types of the control header.
constexpr std::uint8_t kAccept = 0x05;
constexpr std::uint8_t kReject = 0x06;
constexpr std::uint8_t kGetData = 0x0C;
constexpr std::uint8_t kPutData = 0x41;
// What a reply carries.
constexpr std::uint32_t kAdc = 0x001;
constexpr std::uint32_t kAdcQueue = 0x002;

constexpr std::size_t kHeaderBytes = 4;
constexpr std::size_t kAdcBytes = 44;
constexpr std::size_t kQueueSampleBytes = 20;
// Twice what the meter is made for is no measurement of it.
constexpr double kMaxVoltageV = 60;
constexpr double kMaxCurrentA = 12;

// Inline USB meters claim 0.05 to 0.5 %; nobody states what that is the limit of.
constexpr double kGainU = 0.005;

constexpr double kMicro = 1e-6;
constexpr double kTenthMilli = 1e-4;
constexpr double kMilli = 1e-3;
constexpr double kDegreesPerCount = 1.0 / 128;
constexpr std::int64_t kNsPerMs = 1'000'000;
// Ticks between two samples at the rates of the queue: 1000, 50, 10 and 2 per second.
constexpr std::array<std::int64_t, 4> kQueueSteps = {1, 20, 100, 500};

constexpr std::int64_t kSequences = 65536;

constexpr double kRefreshHz = 500;
constexpr std::int64_t kRefreshNs = 2'000'000;
// A poll that took longer is lost: its stamp would be off by more than the model says.
constexpr std::int64_t kLongestRoundTripNs = 4'000'000;
constexpr int kReplyMs = 250;
constexpr int kWriteMs = 100;
constexpr int kDrainMs = 20;
constexpr int kMostDrained = 32;
constexpr int kMostForeign = 8;
constexpr int kStartPolls = 4;
// As its own software asks for; a reply is much shorter.
constexpr std::size_t kReadBytes = 4096;

absl::StatusOr<MeterSample> Measured(double voltage_v, double current_a) {
  if (std::abs(voltage_v) > kMaxVoltageV || std::abs(current_a) > kMaxCurrentA) {
    return absl::DataLossError(
        absl::StrFormat("%g V, %g A: more than a KM003C measures (%g V, %g A)", voltage_v,
                        current_a, kMaxVoltageV, kMaxCurrentA));
  }
  MeterSample sample;
  sample.voltage_v = voltage_v;
  sample.current_a = current_a;
  sample.power_w = voltage_v * current_a;
  return sample;
}

absl::StatusOr<MeterSample> DecodeAdc(Bytes payload) {
  absl::StatusOr<MeterSample> sample =
      Measured(I32Le(payload, 0) * kMicro, I32Le(payload, 4) * kMicro);
  if (!sample.ok()) return sample;
  sample->more = {{"avg_voltage_v", I32Le(payload, 8) * kMicro},
                  {"avg_current_a", I32Le(payload, 12) * kMicro},
                  {"temperature_c", I16Le(payload, 24) * kDegreesPerCount},
                  {"cc1_v", U16Le(payload, 26) * kTenthMilli},
                  {"cc2_v", U16Le(payload, 28) * kTenthMilli},
                  {"dp_v", U16Le(payload, 30) * kTenthMilli},
                  {"dm_v", U16Le(payload, 32) * kTenthMilli},
                  {"vdd_v", U16Le(payload, 34) * kTenthMilli},
                  {"rate_index", payload[36]}};
  return sample;
}

// Of the samples of one reply; 0: it does not show.
std::int64_t StepOf(Bytes payload) {
  std::int64_t step = 0;
  for (std::size_t at = kQueueSampleBytes; at < payload.size(); at += kQueueSampleBytes) {
    const std::int64_t rise =
        static_cast<std::uint16_t>(U16Le(payload, at) - U16Le(payload, at - kQueueSampleBytes));
    if (step == 0 || rise < step) step = rise;
  }
  const bool known = std::find(kQueueSteps.begin(), kQueueSteps.end(), step) != kQueueSteps.end();
  return known ? step : 0;
}

void SleepUntil(std::int64_t until_ns) {
  const timespec until = {.tv_sec = until_ns / 1'000'000'000, .tv_nsec = until_ns % 1'000'000'000};
  while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

}  // namespace

absl::StatusOr<std::vector<MeterSample>> Km003cDecoder::Decode(Bytes bytes) {
  if (bytes.size() < kHeaderBytes)
    return absl::DataLossError(absl::StrCat("a reply of ", bytes.size(), " bytes, less than 4"));
  std::vector<MeterSample> samples;
  if (bytes[0] == kAccept && bytes.size() == kHeaderBytes) return samples;
  if (bytes[0] == kReject) return absl::DataLossError("the meter refused what it was asked");
  if (bytes[0] != kPutData) {
    return absl::DataLossError(
        absl::StrFormat("a reply of type %02x, which carries no data (41)", bytes[0]));
  }
  // The word count of this header is one too low in some real replies; what is there counts.
  std::size_t at = kHeaderBytes;
  bool more = at < bytes.size();
  while (more) {
    if (bytes.size() - at < kHeaderBytes)
      return absl::DataLossError("the reply ends within a header");
    const std::uint32_t header = U32Le(bytes, at);
    at += kHeaderBytes;
    const std::uint32_t attribute = header & 0x7FFF;
    more = (header & 0x8000) != 0;
    const std::size_t chunk = header >> 16 & 0x3F;
    const std::size_t size = header >> 22;
    const std::size_t length = attribute == kAdcQueue ? chunk * size : size;
    if (bytes.size() - at < length) {
      return absl::DataLossError(absl::StrCat("the reply claims ", length, " bytes of attribute ",
                                              attribute, " and has ", bytes.size() - at));
    }
    const Bytes payload = bytes.subspan(at, length);
    at += length;
    if (attribute == kAdc) {
      if (length != kAdcBytes) {
        return absl::DataLossError(
            absl::StrCat("a measurement of ", length, " bytes instead of ", kAdcBytes));
      }
      absl::StatusOr<MeterSample> sample = DecodeAdc(payload);
      if (!sample.ok()) return sample.status();
      samples.push_back(*std::move(sample));
    } else if (attribute == kAdcQueue) {
      if (size != kQueueSampleBytes) {
        return absl::DataLossError(
            absl::StrCat("queued samples of ", size, " bytes instead of ", kQueueSampleBytes));
      }
      if (absl::Status status = DecodeQueue(payload, samples); !status.ok()) return status;
    }
  }
  if (at != bytes.size()) {
    return absl::DataLossError(
        absl::StrCat(bytes.size() - at, " bytes behind what the reply says it has"));
  }
  return samples;
}

absl::Status Km003cDecoder::DecodeQueue(Bytes payload, std::vector<MeterSample>& samples) {
  const std::int64_t step = StepOf(payload);
  const std::int64_t period = step != 0 ? step : step_;
  // State only changes when the whole reply is good.
  std::optional<std::int64_t> tick_ms = tick_ms_;
  bool joined = joined_;
  std::int64_t lost = 0;
  std::vector<MeterSample> queued;
  for (std::size_t at = 0; at < payload.size(); at += kQueueSampleBytes) {
    absl::StatusOr<MeterSample> sample =
        Measured(I32Le(payload, at + 4) * kMicro, I32Le(payload, at + 8) * kMicro);
    if (!sample.ok()) return sample.status();
    const std::uint16_t sequence = U16Le(payload, at);
    std::int64_t rise = static_cast<std::uint16_t>(sequence - tick_ms.value_or(0));
    if (joined && (rise == 0 || rise > kSequences / 2)) {
      // One that was late is no news; a queue that was started again is, from the next reply on.
      joined_ = false;
      return absl::DataLossError(
          absl::StrCat("queued sample ", sequence, " does not follow ", *tick_ms % kSequences));
    }
    if (joined && period != 0) lost += std::max<std::int64_t>(0, rise / period - 1);
    if (tick_ms && rise == 0) rise = kSequences;
    tick_ms = tick_ms.value_or(0) + rise;
    joined = true;
    sample->t_ns = *tick_ms * kNsPerMs;
    if (step != 0) {
      const double scale = step == kQueueSteps.back() ? kTenthMilli : kMilli;
      sample->more = {{"cc1_v", U16Le(payload, at + 12) * scale},
                      {"cc2_v", U16Le(payload, at + 14) * scale},
                      {"dp_v", U16Le(payload, at + 16) * scale},
                      {"dm_v", U16Le(payload, at + 18) * scale}};
    }
    queued.push_back(*std::move(sample));
  }
  tick_ms_ = tick_ms;
  step_ = period;
  joined_ = joined;
  lost_ += lost;
  std::move(queued.begin(), queued.end(), std::back_inserter(samples));
  return absl::OkStatus();
}

std::int64_t Km003cDecoder::TakeLost() { return std::exchange(lost_, 0); }

void Km003cDecoder::Reset() { *this = Km003cDecoder(); }

std::optional<std::uint8_t> Km003cTransaction(Bytes reply) {
  if (reply.size() < kHeaderBytes) return std::nullopt;
  return reply[1];
}

Km003cDriver::Km003cDriver() : Km003cDriver(Time{.sleep_until = SleepUntil}) {}

absl::StatusOr<MeterIdentity> Km003cDriver::Start(Link& link, double rate_hz) {
  decoder_.Reset();
  // Replies to whoever was cut off before.
  for (int i = 0;; ++i) {
    const absl::StatusOr<std::vector<std::uint8_t>> stale = link.Read(kReadBytes, kDrainMs);
    if (absl::IsDeadlineExceeded(stale.status())) break;
    if (!stale.ok()) return stale.status();
    if (i == kMostDrained)
      return absl::DataLossError("the meter sends without being asked; unplug it and plug it in");
  }
  const double hz = rate_hz > 0 ? std::min(rate_hz, kRefreshHz) : kRefreshHz;
  period_ns_ = static_cast<std::int64_t>(1e9 / hz);
  next_ns_ = time_.now();
  std::string refusal = "it does not answer";
  for (int i = 0; i < kStartPolls; ++i) {
    MeterBatch batch;
    if (absl::Status asked = Step(link, batch); !asked.ok()) return asked;
    if (!batch.samples.empty()) return MeterIdentity{};
    if (!batch.refusal.empty()) refusal = batch.refusal;
  }
  return absl::DataLossError(absl::StrCat("no measurement in ", kStartPolls, " polls: ", refusal));
}

void Km003cDriver::Wait(MeterBatch& batch) {
  const std::int64_t now_ns = time_.now();
  if (now_ns < next_ns_) {
    time_.sleep_until(next_ns_);
  } else {
    const std::int64_t missed = (now_ns - next_ns_) / period_ns_;
    batch.lost += missed;
    next_ns_ += missed * period_ns_;
  }
  next_ns_ += period_ns_;
}

absl::Status Km003cDriver::Step(Link& link, MeterBatch& batch) {
  Wait(batch);
  ++transaction_;
  const std::array<std::uint8_t, kHeaderBytes> question = {kGetData, transaction_,
                                                           std::uint8_t{kAdc << 1U}, 0};
  batch.asked_ns = time_.now();
  if (absl::Status written = link.Write(question, kWriteMs); !written.ok()) return written;
  return ReadReply(link, batch);
}

absl::Status Km003cDriver::ReadReply(Link& link, MeterBatch& batch) {
  // Late replies to earlier questions come first.
  for (int foreign = 0; foreign < kMostForeign; ++foreign) {
    const absl::StatusOr<std::vector<std::uint8_t>> reply = link.Read(kReadBytes, kReplyMs);
    batch.arrived_ns = time_.now();
    if (absl::IsDeadlineExceeded(reply.status())) {
      ++batch.lost;
      return absl::OkStatus();
    }
    if (!reply.ok()) return reply.status();
    const std::optional<std::uint8_t> transaction = Km003cTransaction(*reply);
    if (transaction && *transaction != transaction_) {
      ++batch.rejected;
      batch.refusal =
          absl::StrCat("a reply to question ", *transaction, " instead of ", transaction_);
      continue;
    }
    absl::StatusOr<std::vector<MeterSample>> samples = decoder_.Decode(*reply);
    if (samples.ok() && samples->empty()) samples = absl::DataLossError("a reply without a value");
    if (!samples.ok()) {
      ++batch.rejected;
      ++batch.lost;
      batch.refusal = std::string(samples.status().message());
      return absl::OkStatus();
    }
    if (batch.arrived_ns - *batch.asked_ns > kLongestRoundTripNs) {
      ++batch.lost;
      batch.refusal = LongRoundTrip(batch.arrived_ns - *batch.asked_ns, kLongestRoundTripNs);
      return absl::OkStatus();
    }
    batch.samples = *std::move(samples);
    return absl::OkStatus();
  }
  ++batch.lost;
  return absl::OkStatus();
}

void Km003cDriver::Stop(Link& link) {
  // A reply left behind would be the first thing its next user reads. An error means that it is
  // gone.
  for (int i = 0; i < kMostDrained && link.Read(kReadBytes, kDrainMs).ok(); ++i) {
  }
}

MeterModel Km003cModel() {
  return {.name = "km003c",
          .title = "ChargerLAB POWER-Z KM003C",
          .link = LinkKind::kUsbBulk,
          .match =
              [](const UsbDevice& device) {
                const bool ours = device.vendor == kVendor &&
                                  (device.product == kKm003c || device.product == kKm002c);
                return ours ? UsbMatch::kYes : UsbMatch::kNo;
              },
          .usb_interface = 0,
          .endpoint_out = 0x01,
          .endpoint_in = 0x81,
          .max_rate_hz = kRefreshHz,
          .refresh_ns = kRefreshNs,
          .stamp_bound_ns = kLongestRoundTripNs / 2,
          .resolution_w = kMicro,
          .max_voltage_v = kMaxVoltageV,
          .max_current_a = kMaxCurrentA,
          .gain_u = kGainU,
          .make_decoder = [] { return std::make_unique<Km003cDecoder>(); },
          .make_driver = [] { return std::make_unique<Km003cDriver>(); },
          .tested = "capture"};
}

}  // namespace joulefarm::agent
