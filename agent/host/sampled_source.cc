#include "agent/host/sampled_source.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/power/meter_events.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

// At the end, for samples of meters that are on their way.
constexpr std::int64_t kPeriodsOnTheWay = 3;
constexpr std::int64_t kShortestWaitNs = 50'000'000;  // fast ones send many at once
constexpr std::int64_t kLongestWaitNs = 5'000'000'000;

std::int64_t PeriodNs(double hz) { return static_cast<std::int64_t>(1e9 / hz); }

}  // namespace

SampledSource::SampledSource(std::unique_ptr<PowerSource> power, Options options,
                             TraceEncoder* encoder, Recorder* recorder)
    : power_(std::move(power)), options_(std::move(options)), recorder_(recorder) {
  double hz = 0;
  for (const v1::ChannelInfo& channel : channels()) {
    writers_.push_back(std::make_unique<ChannelWriter>(
        channel.name(), v1::STREAM_POWER, ChunkLimits{options_.chunk_ns}, encoder, recorder));
    hz = std::max(hz, channel.nominal_hz());
  }
  // One that samples by itself is collected from at leisure.
  period_ns_ = hz > 0 && !power_->buffered() ? PeriodNs(hz) : options_.period_ns;
}

std::int64_t SampledSource::settle_ns() const {
  std::int64_t longest_ns = 0;  // of counters
  std::int64_t late_ns = 0;     // until a value that is wholly about later
  double hz = 0;
  for (const v1::ChannelInfo& channel : channels()) {
    // Of samples it says how stale they may be, which waiting does not change.
    if (channel.quantity() == v1::QUANTITY_ENERGY_COUNTER_J)
      longest_ns = std::max(longest_ns, channel.refresh_ns());
    late_ns =
        std::max(late_ns, channel.latency_ns() + std::max<std::int64_t>(0, channel.smoothing_ns()));
    hz = std::max(hz, channel.nominal_hz());
  }
  // Stamps are moved back by that, and the last of them has to lie after the end even so.
  if (hz > 0 && (power_->buffered() || late_ns > 0))
    late_ns += std::max(kPeriodsOnTheWay * PeriodNs(hz), power_->buffered() ? kShortestWaitNs : 0);
  return std::max(longest_ns, std::min(late_ns, kLongestWaitNs));
}

template <typename Fill>
void SampledSource::Record(const Fill& fill) {
  v1::Event event;
  event.set_t_ns(BoottimeNs());
  fill(event);
  recorder_->Record(std::move(event));
}

void SampledSource::Declare() {
  if (const std::optional<MeterReport> meter = power_->Meter()) {
    Record([&](v1::Event& event) {
      *event.mutable_meter() = MeterRecordOf(*meter, options_.agent_id);
    });
  }
}

absl::Span<const PowerReading> SampledSource::Sample() {
  std::int64_t lost = 0;
  readings_.clear();
  const absl::Status polled = power_->Poll(readings_, lost);
  if (!polled.ok() && !failing_) recorder_->Log("agent", std::string(polled.message()));
  failing_ = !polled.ok();
  for (const PowerReading& reading : readings_)
    writers_[static_cast<std::size_t>(reading.channel)]->Add(reading.t_ns, reading.raw);
  if (lost > 0) {
    for (const auto& writer : writers_) writer->AddLost(lost);
  }
  for (const ClockPair& pair : power_->TakePairs()) pairs_.push_back(pair);
  return readings_;
}

void SampledSource::RecordTicks() {
  const std::optional<MeterReport> meter = power_->Meter();
  if (pairs_.empty() || !meter) return;
  for (v1::MeterTicks& ticks : MeterTicksOf(meter->id, std::exchange(pairs_, {}))) {
    Record([&](v1::Event& event) { *event.mutable_meter_ticks() = std::move(ticks); });
  }
}

void SampledSource::Flush() {
  for (const auto& writer : writers_) writer->Flush();
  RecordTicks();
}

void SampledSource::End() {
  Flush();
  if (const std::optional<MeterReport> meter = power_->Meter())
    Record([&](v1::Event& event) { *event.mutable_meter_stats() = MeterStatsOf(*meter); });
  // The generator's own count, for whoever checks that nothing vanished on the way to the database.
  if (const std::optional<std::int64_t> made = power_->Made())
    recorder_->Log("agent", absl::StrCat(channels()[0].name(), ": ", *made, " samples were made"));
}

}  // namespace joulefarm::agent
