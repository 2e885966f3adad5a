#include "agent/power/meter/program_driver.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/power/meter/round_trip.h"
#include "agent/power/meter/serial_driver.h"

namespace joulefarm::agent {
namespace {

constexpr std::size_t kMostBytes = 131'072;
constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr double kNsPerSecond = 1e9;
// Of one step.
constexpr int kStepMs = 200;
// Lines that come together are this close; no program prints as often.
constexpr int kTogetherMs = 20;
constexpr std::int64_t kLongestSayingNs = 100 * kNsPerMs;
// A run that takes longer hangs.
constexpr std::int64_t kMostRunNs = 10'000'000'000;

std::int64_t PeriodNs(const ProgramMeter& meter, double rate_hz) {
  return static_cast<std::int64_t>(kNsPerSecond / (rate_hz > 0 ? rate_hz : meter.max_rate_hz));
}

double Ms(std::int64_t ns) { return static_cast<double>(ns) * 1e-6; }

// What only more lines would have ended.
absl::Status TakeRest(MeterDecoder& decoder, MeterBatch& batch) {
  absl::StatusOr<std::vector<MeterSample>> samples = decoder.Finish();
  // Every refusal takes a byte at least, so this ends.
  while (!samples.ok()) {
    if (!absl::IsDataLoss(samples.status())) return samples.status();
    ++batch.rejected;
    batch.refusal = std::string(samples.status().message());
    samples = decoder.Finish();
  }
  for (MeterSample& sample : *samples) batch.samples.push_back(std::move(sample));
  return absl::OkStatus();
}

void Lose(std::string why, MeterBatch& batch) {
  batch.lost += static_cast<std::int64_t>(batch.samples.size());
  batch.samples.clear();
  batch.refusal = std::move(why);
}

// Leaves the last sample, if it is one of the device's power.
void Choose(const ProgramMeter& meter, MeterBatch& batch) {
  if (batch.samples.size() > 1) {
    MeterSample last = std::move(batch.samples.back());
    batch.samples.pop_back();
    Lose(absl::StrCat("of ", batch.samples.size() + 1,
                      " samples at once only the last one's time is known: the program keeps its "
                      "lines back (stdbuf -oL may help), or this host stood still"),
         batch);
    batch.samples.push_back(std::move(last));
  }
  if (batch.samples.empty() || !meter.check) return;
  const absl::Status is_power = meter.check(batch.samples[0], meter.negate);
  if (is_power.ok()) return;
  ++batch.rejected;
  Lose(std::string(is_power.message()), batch);
}

}  // namespace

absl::StatusOr<MeterIdentity> PrintingDriver::Start(Link& link, double rate_hz) {
  meter_.decoder->Reset();
  latest_ns_ =
      static_cast<std::int64_t>(kLatestPeriods * static_cast<double>(PeriodNs(meter_, rate_hz)));
  said_ns_ = now_();
  ended_ = absl::OkStatus();
  if (absl::Status started = link.Write({}, kStepMs); !started.ok()) return started;
  return MeterIdentity();
}

absl::Status PrintingDriver::Step(Link& link, MeterBatch& batch) {
  if (!ended_.ok()) return ended_;
  const std::int64_t end_ns = now_() + kStepMs * kNsPerMs + kLongestSayingNs;
  std::optional<std::int64_t> arrived_ns;
  do {
    const absl::StatusOr<std::vector<std::uint8_t>> line =
        link.Read(kMostBytes, arrived_ns ? kTogetherMs : kStepMs);
    if (absl::IsDeadlineExceeded(line.status())) break;
    if (!line.ok()) {
      // That it ended is no answer here, whether it ended well or not.
      ended_ = absl::UnavailableError(line.status().message());
      break;
    }
    arrived_ns = link.arrived_ns().value_or(now_());
    if (absl::Status taken = DecodeInto(*meter_.decoder, *line, batch); !taken.ok()) return taken;
  } while (now_() < end_ns);
  // What it said last counts, and the next step tells that it ended.
  if (!arrived_ns) return ended_;
  if (absl::Status rest = TakeRest(*meter_.decoder, batch); !rest.ok()) return rest;
  batch.arrived_ns = *arrived_ns;
  Choose(meter_, batch);
  const std::int64_t after_ns = *arrived_ns - std::exchange(said_ns_, *arrived_ns);
  if (after_ns > latest_ns_ && !batch.samples.empty()) {
    Lose(absl::StrFormat("it came %.4g ms after the one before, not within %.4g ms: when it was "
                         "read is not known better",
                         Ms(after_ns), Ms(latest_ns_)),
         batch);
  }
  return absl::OkStatus();
}

// The link ends the program.
void PrintingDriver::Stop(Link& /*link*/) {}

absl::StatusOr<MeterIdentity> RunDriver::Start(Link& /*link*/, double rate_hz) {
  period_ns_ = PeriodNs(meter_, rate_hz);
  next_ns_ = now_();
  runs_ = false;
  return MeterIdentity();
}

absl::Status RunDriver::Step(Link& link, MeterBatch& batch) {
  if (!runs_) {
    const std::int64_t wait_ns = next_ns_ - now_();
    if (wait_ns > 0) {
      const std::int64_t wait_ms = (wait_ns + kNsPerMs - 1) / kNsPerMs;
      const absl::Status idle =
          link.Read(kMostBytes, static_cast<int>(std::min<std::int64_t>(wait_ms, kStepMs)))
              .status();
      return absl::IsDeadlineExceeded(idle) ? absl::OkStatus() : idle;
    }
    meter_.decoder->Reset();
    taken_ = MeterBatch();
    const std::int64_t asked_ns = now_();
    next_ns_ = std::max(next_ns_ + period_ns_, asked_ns);
    taken_.asked_ns = asked_ns;
    taken_.arrived_ns = asked_ns;
    if (absl::Status started = link.Write({}, kStepMs); !started.ok()) return started;
    runs_ = true;
  }
  const absl::StatusOr<bool> all = ReadOn(link, taken_);
  if (!all.ok()) return all.status();
  if (!*all) {
    if (now_() - *taken_.asked_ns < kMostRunNs) return absl::OkStatus();
    return absl::DeadlineExceededError(
        absl::StrFormat("the program does not end within %.0f s", Ms(kMostRunNs) * 1e-3));
  }
  runs_ = false;
  if (absl::Status rest = TakeRest(*meter_.decoder, taken_); !rest.ok()) return rest;
  batch = std::exchange(taken_, MeterBatch());
  if (batch.samples.empty() && batch.rejected == 0) {
    ++batch.rejected;
    batch.refusal = "it printed nothing";
  }
  Choose(meter_, batch);
  const std::int64_t took_ns = batch.arrived_ns - *batch.asked_ns;
  if (took_ns > kLongestRunNs && !batch.samples.empty())
    Lose(LongRoundTrip(took_ns, kLongestRunNs), batch);
  return absl::OkStatus();
}

absl::StatusOr<bool> RunDriver::ReadOn(Link& link, MeterBatch& batch) {
  const std::int64_t end_ns = now_() + kStepMs * kNsPerMs;
  while (true) {
    const std::int64_t left_ms = (end_ns - now_()) / kNsPerMs;
    if (left_ms <= 0) return false;
    const absl::StatusOr<std::vector<std::uint8_t>> line =
        link.Read(kMostBytes, static_cast<int>(left_ms));
    if (absl::IsOutOfRange(line.status())) return true;
    if (absl::IsDeadlineExceeded(line.status())) return false;
    if (!line.ok()) return line.status();
    batch.arrived_ns = link.arrived_ns().value_or(now_());
    if (absl::Status taken = DecodeInto(*meter_.decoder, *line, batch); !taken.ok()) return taken;
  }
}

void RunDriver::Stop(Link& /*link*/) { runs_ = false; }

void ReadFromProgram(MeterModel& model, MeterProgram program) {
  model.link = LinkKind::kProgram;
  model.text = true;
  model.make_stated_driver = [make_decoder = model.make_decoder, max_rate_hz = model.max_rate_hz,
                              program](const MeterSettings& settings, bool /*again*/) {
    ProgramMeter meter{make_decoder(), max_rate_hz, program.check, settings.negate};
    return program.once_per_reading
               ? std::unique_ptr<MeterDriver>(std::make_unique<RunDriver>(std::move(meter)))
               : std::make_unique<PrintingDriver>(std::move(meter));
  };
  model.make_driver = [make = model.make_stated_driver] { return make(MeterSettings(), false); };
  model.program = std::move(program);
}

}  // namespace joulefarm::agent
