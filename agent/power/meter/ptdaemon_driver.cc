#include "agent/power/meter/ptdaemon_driver.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/power/meter/ptdaemon.h"
#include "agent/power/meter/text_decoder.h"

namespace joulefarm::agent {
namespace {

constexpr int kReplyMs = 2'000;
constexpr int kDrainMs = 20;
// Of a step.
constexpr int kWaitMs = 200;
// Between questions where there was nothing new: a sample's time is known to that and a round trip.
constexpr int kPollMs = 25;
constexpr std::size_t kMostBytes = 16'384;
constexpr std::size_t kMostText = 65'536;
// It keeps no more; a reply that promises more is damaged.
constexpr std::int64_t kMostSamples = 100'000;

// "Last 3 samples": 3.
absl::StatusOr<std::int64_t> Count(const std::string& reply) {
  const std::vector<absl::string_view> words = absl::StrSplit(reply, ' ');
  std::int64_t count = 0;
  if (words.size() < 3 || words[0] != "Last" || !absl::SimpleAtoi(words[1], &count) || count < 0 ||
      count > kMostSamples)
    return absl::InternalError(absl::StrCat("PTDaemon answers RL with ", Shown(reply)));
  return count;
}

}  // namespace

PtdaemonDriver::PtdaemonDriver(std::function<std::int64_t()> now)
    : now_(std::move(now)), decoder_(PtdaemonModel().make_decoder()) {}

absl::StatusOr<MeterIdentity> PtdaemonDriver::Start(Link& link, double /*rate_hz*/) {
  decoder_->Reset();
  text_.clear();
  asked_ = false;
  while (link.Read(kMostBytes, kDrainMs).ok()) {
  }
  const absl::StatusOr<std::string> hello = Ask(link, "Hello");
  if (!hello.ok()) return hello.status();
  if (!absl::StartsWith(*hello, "Hello, PTDaemon"))
    return absl::FailedPreconditionError(
        absl::StrCat("this is no PTDaemon: it answers Hello with ", Shown(*hello)));
  absl::StatusOr<std::string> identity = Ask(link, "Identify");
  if (!identity.ok()) return identity.status();
  // No sample is older.
  asked_ns_ = now_();
  const absl::StatusOr<std::string> started = Ask(link, "Go,1000,0");
  if (!started.ok()) return started.status();
  if (!absl::StartsWith(*started, "Starting"))
    return absl::FailedPreconditionError(absl::StrCat("PTDaemon does not start: ", Shown(*started),
                                                      "; is another client measuring?"));
  return MeterIdentity{.serial = std::nullopt, .firmware = *std::move(identity)};
}

absl::Status PtdaemonDriver::Step(Link& link, MeterBatch& batch) {
  if (!asked_) {
    before_ns_ = std::exchange(asked_ns_, now_());
    if (absl::Status sent = Send(link, "RL"); !sent.ok()) return sent;
    asked_ = true;
    expected_ = 0;
    waited_ms_ = 0;
  }
  if (expected_ == 0) {
    const absl::StatusOr<std::optional<std::string>> header = Await(link);
    if (!header.ok()) return header.status();
    if (!*header) return absl::OkStatus();
    replied_ns_ = now_();
    const absl::StatusOr<std::int64_t> count = Count(**header);
    if (!count.ok()) return count.status();
    if (*count == 0) return Idle(link, batch);
    expected_ = *count;
  }
  while (expected_ > 0) {
    const absl::StatusOr<std::optional<std::string>> line = Await(link);
    if (!line.ok()) return line.status();
    if (!*line) return absl::OkStatus();
    --expected_;
    Take(**line, expected_, batch);
  }
  asked_ = false;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> PtdaemonDriver::Await(Link& link) {
  absl::StatusOr<std::string> line = ReadLine(link, kWaitMs);
  if (line.ok()) {
    waited_ms_ = 0;
    return std::optional<std::string>(*std::move(line));
  }
  if (!absl::IsDeadlineExceeded(line.status())) return line.status();
  waited_ms_ += kWaitMs;
  if (waited_ms_ < kReplyMs) return std::optional<std::string>();
  return absl::DeadlineExceededError(
      absl::StrCat("PTDaemon does not go on with its reply to RL within ", kReplyMs, " ms"));
}

absl::Status PtdaemonDriver::Idle(Link& link, MeterBatch& batch) {
  asked_ = false;
  const absl::StatusOr<std::string> unasked = ReadLine(link, kPollMs);
  if (unasked.ok()) {
    ++batch.rejected;
    batch.refusal = absl::StrCat("PTDaemon says unasked: ", Shown(*unasked));
  } else if (!absl::IsDeadlineExceeded(unasked.status())) {
    return unasked.status();
  }
  return absl::OkStatus();
}

void PtdaemonDriver::Take(const std::string& line, std::int64_t behind, MeterBatch& batch) {
  const std::string whole = line + "\n";
  const absl::StatusOr<std::vector<MeterSample>> samples =
      decoder_->Decode(Bytes(reinterpret_cast<const std::uint8_t*>(whole.data()), whole.size()));
  if (!samples.ok()) {
    ++batch.rejected;
    batch.refusal = std::string(samples.status().message());
    return;
  }
  const std::int64_t span_ns = replied_ns_ - before_ns_;
  if (span_ns > kLongestSpanNs || behind > 0) {
    batch.lost += static_cast<std::int64_t>(samples->size());
    batch.refusal =
        behind > 0 ? "of several samples at once only the last one's time is known"
                   : absl::StrFormat("when a sample was taken is known to %.0f ms, not to %.0f ms",
                                     static_cast<double>(span_ns) * 1e-6,
                                     static_cast<double>(kLongestSpanNs) * 1e-6);
    return;
  }
  batch.asked_ns = before_ns_;
  batch.arrived_ns = replied_ns_;
  batch.samples.insert(batch.samples.end(), samples->begin(), samples->end());
}

void PtdaemonDriver::Stop(Link& link) { Ask(link, "Stop").IgnoreError(); }

absl::StatusOr<std::string> PtdaemonDriver::ReadLine(Link& link, int timeout_ms) {
  while (true) {
    const std::size_t end = text_.find('\n');
    if (end != std::string::npos) {
      std::string line = text_.substr(0, end);
      text_.erase(0, end + 1);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return line;
    }
    if (text_.size() > kMostText) return absl::InternalError("PTDaemon sends a line without end");
    const absl::StatusOr<std::vector<std::uint8_t>> bytes = link.Read(kMostBytes, timeout_ms);
    if (!bytes.ok()) return bytes.status();
    text_.append(bytes->begin(), bytes->end());
  }
}

absl::Status PtdaemonDriver::Send(Link& link, const std::string& command) {
  const std::string line = command + "\r\n";
  return link.Write(
      absl::MakeConstSpan(reinterpret_cast<const std::uint8_t*>(line.data()), line.size()),
      kReplyMs);
}

absl::StatusOr<std::string> PtdaemonDriver::Ask(Link& link, const std::string& command) {
  if (const absl::Status sent = Send(link, command); !sent.ok()) return sent;
  absl::StatusOr<std::string> reply = ReadLine(link, kReplyMs);
  if (reply.ok() || !absl::IsDeadlineExceeded(reply.status())) return reply;
  return absl::DeadlineExceededError(
      absl::StrCat("PTDaemon does not answer ", command, " within ", kReplyMs, " ms"));
}

}  // namespace joulefarm::agent
