#include "agent/power/meter/serial_driver.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "agent/power/meter/round_trip.h"

namespace joulefarm::agent {
namespace {

constexpr std::size_t kDrainRead = 4096;
// A meter that streams sends less than this before a stop reaches it.
constexpr std::size_t kMostDrained = std::size_t{1} << 20;

constexpr std::int64_t kNsPerMs = 1'000'000;
// Of one step: a request, or the wait for its time.
constexpr int kStepMs = 250;
constexpr int kQuietMs = 20;
constexpr auto kPileUp = std::chrono::milliseconds(20);

void Refuse(MeterBatch& batch, std::string why) {
  ++batch.rejected;
  batch.refusal = std::move(why);
}

}  // namespace

absl::Status DecodeInto(MeterDecoder& decoder, Bytes bytes, MeterBatch& batch) {
  absl::StatusOr<std::vector<MeterSample>> samples = decoder.Decode(bytes);
  // Every refusal takes a byte at least, so this ends.
  while (!samples.ok()) {
    if (!absl::IsDataLoss(samples.status())) return samples.status();
    ++batch.rejected;
    batch.refusal = std::string(samples.status().message());
    samples = decoder.Decode(Bytes());
  }
  for (MeterSample& sample : *samples) batch.samples.push_back(std::move(sample));
  batch.lost += decoder.TakeLost();
  return absl::OkStatus();
}

absl::Status ReadInto(Link& link, std::size_t most, int timeout_ms, MeterDecoder& decoder,
                      MeterBatch& batch, const std::function<std::int64_t()>& now) {
  const absl::StatusOr<std::vector<std::uint8_t>> bytes = link.Read(most, timeout_ms);
  const std::int64_t arrived_ns = now();
  if (absl::IsDeadlineExceeded(bytes.status())) return absl::OkStatus();
  batch.arrived_ns = arrived_ns;
  if (!bytes.ok()) return bytes.status();
  return DecodeInto(decoder, *bytes, batch);
}

void LetPileUp() { std::this_thread::sleep_for(kPileUp); }

absl::Status DrainLine(Link& link, int quiet_ms) {
  for (std::size_t drained = 0; drained < kMostDrained;) {
    const absl::StatusOr<std::vector<std::uint8_t>> bytes = link.Read(kDrainRead, quiet_ms);
    if (absl::IsDeadlineExceeded(bytes.status())) return absl::OkStatus();
    if (!bytes.ok()) return bytes.status();
    drained += bytes->size();
  }
  return absl::DataLossError(
      "it does not stop sending: not the meter it was taken for, or another baud rate");
}

int PolledLine::MsUntil(std::int64_t end_ns) const {
  const std::int64_t left = (end_ns - now_() + kNsPerMs - 1) / kNsPerMs;
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, kStepMs));
}

void PolledLine::Start(double rate_hz) {
  constexpr double kNsPerSecond = 1e9;
  period_ns_ = fastest_ms_ * kNsPerMs;
  if (rate_hz > 0) {
    period_ns_ = std::max(period_ns_, static_cast<std::int64_t>(kNsPerSecond / rate_hz));
  }
  next_ns_ = now_();
  in_step_ = false;
}

absl::Status PolledLine::AwaitTurn(Link& link, MeterBatch& batch, bool& my_turn) {
  if (!in_step_) {
    if (absl::Status quiet = DrainLine(link, kQuietMs); !quiet.ok()) return quiet;
    in_step_ = true;
  }
  const std::int64_t end_ns = std::min(next_ns_, now_() + kStepMs * kNsPerMs);
  my_turn = end_ns == next_ns_;
  const absl::StatusOr<std::vector<std::uint8_t>> stray =
      link.Read(reply_size_ + 1, MsUntil(end_ns));
  if (absl::IsDeadlineExceeded(stray.status())) return absl::OkStatus();
  if (!stray.ok()) return stray.status();
  Refuse(batch, absl::StrCat(stray->size(), " bytes that nobody asked for"));
  in_step_ = false;
  my_turn = false;
  return absl::OkStatus();
}

absl::Status PolledLine::Poll(Link& link, MeterDecoder& decoder, MeterBatch& batch) {
  batch = MeterBatch();
  batch.arrived_ns = now_();
  bool my_turn = false;
  if (absl::Status turn = AwaitTurn(link, batch, my_turn); !turn.ok() || !my_turn) return turn;
  decoder.Reset();
  const std::int64_t asked_ns = now_();
  next_ns_ = std::max(next_ns_ + period_ns_, asked_ns);
  if (absl::Status written = link.Write(request_, kStepMs); !written.ok()) return written;
  batch.asked_ns = asked_ns;
  const std::int64_t end_ns = asked_ns + kLongestRoundTripNs;
  std::vector<std::uint8_t> reply;
  do {
    // One byte more than a reply shows that this is none.
    const absl::StatusOr<std::vector<std::uint8_t>> bytes =
        link.Read(reply_size_ + 1 - reply.size(), MsUntil(end_ns));
    batch.arrived_ns = now_();
    if (absl::IsDeadlineExceeded(bytes.status())) break;
    if (!bytes.ok()) return bytes.status();
    reply.insert(reply.end(), bytes->begin(), bytes->end());
    // Late or not: what has arrived is read, or the next question's reply would come behind it.
  } while (reply.size() < reply_size_);
  in_step_ = reply.size() == reply_size_;
  const std::int64_t took_ns = batch.arrived_ns - asked_ns;
  if (in_step_ && took_ns > kLongestRoundTripNs) {
    ++batch.lost;
    Refuse(batch, LongRoundTrip(took_ns, kLongestRoundTripNs));
    return absl::OkStatus();
  }
  if (in_step_) return DecodeInto(decoder, reply, batch);
  if (!reply.empty()) {
    Refuse(batch, absl::StrCat("a reply of ", reply.size(), " bytes, not ", reply_size_));
  }
  return absl::OkStatus();
}

}  // namespace joulefarm::agent
