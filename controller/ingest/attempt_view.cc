#include "controller/ingest/attempt_view.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "controller/ingest/host_values.h"
#include "controller/ingest/source_clocks.h"

namespace joulefarm::controller {
namespace {

// Two clocks cannot be read at the same instant, and the reader may be preempted in between.
constexpr std::int64_t kLeastSuspendNs = 100'000'000;

using RequestKey = std::pair<int, int>;

std::vector<Suspend> FindSuspends(std::vector<v1::ClockSnapshot> snapshots) {
  std::stable_sort(snapshots.begin(), snapshots.end(),
                   [](const auto& a, const auto& b) { return a.boottime_ns() < b.boottime_ns(); });
  std::vector<Suspend> suspends;
  for (std::size_t i = 1; i < snapshots.size(); ++i) {
    const v1::ClockSnapshot& a = snapshots[i - 1];
    const v1::ClockSnapshot& b = snapshots[i];
    const std::int64_t slept =
        (b.boottime_ns() - b.monotonic_ns()) - (a.boottime_ns() - a.monotonic_ns());
    if (slept > kLeastSuspendNs) suspends.push_back({{a.boottime_ns(), b.boottime_ns()}, slept});
  }
  return suspends;
}

// From the final's start to its end, and at least as far as what happened. The final of an agent
// that crashed says when it was found, which may be in another boot's time: then only what happened
// counts.
Interval SpanOf(const v1::Final& final, const std::vector<PhaseSpan>& phases,
                const std::map<int, RunView>& runs) {
  std::optional<Interval> span;
  const auto include = [&](const Interval& part) {
    if (part.end_ns < part.start_ns) return;
    if (!span) span = part;
    span->start_ns = std::min(span->start_ns, part.start_ns);
    span->end_ns = std::max(span->end_ns, part.end_ns);
  };
  for (const PhaseSpan& phase : phases) include(phase.span);
  for (const auto& [number, run] : runs) include(run.span());
  const Interval told{final.started_ns(), final.ended_ns()};
  if (!span || (told.start_ns < span->end_ns && told.end_ns > span->start_ns)) include(told);
  return span.value_or(Interval{});
}

using ChannelKey = std::pair<int, std::string>;  // source and name

std::vector<ChannelView> Channels(const AttemptData& data,
                                  const std::map<ChannelKey, v1::ChannelInfo>& declared) {
  std::map<ChannelKey, std::vector<const AttemptData::Chunk*>> recorded;
  auto of = recorded.end();
  for (const AttemptData::Chunk& chunk : data.chunks) {
    if (of == recorded.end() || of->first.first != chunk.source ||
        of->first.second != chunk.chunk.channel())
      of = recorded.try_emplace({chunk.source, chunk.chunk.channel()}).first;
    of->second.push_back(&chunk);
  }
  SourceClocks clocks(data);
  std::vector<ChannelView> channels;
  for (const auto& [key, info] : declared) {
    ChannelView& channel = channels.emplace_back();
    channel.info = info;
    channel.source = key.first;
    // Declared, but nothing came: its rows say so.
    if (const auto found = recorded.find(key); found != recorded.end())
      channel.chunks = std::move(found->second);
    std::stable_sort(
        channel.chunks.begin(), channel.chunks.end(),
        [](const auto* a, const auto* b) { return a->chunk.t0_ns() < b->chunk.t0_ns(); });
    clocks.Align(channel);
  }
  return channels;
}

// What a calibration of the very meter says goes before what is known of its model.
void AddCalibration(const std::map<std::string, v1::MeterRecord>& meters, v1::ChannelInfo& info) {
  const auto meter = meters.find(info.meter());
  if (info.quantity() == v1::QUANTITY_POWER_W && !info.meter().empty() && meter != meters.end() &&
      meter->second.has_gain_u())
    info.set_gain_u(meter->second.gain_u());
}

// What a source says that is not the device's own: of its meters. What it says of runs and phases
// is not its business, and on another clock.
void TakeHelper(int source, const v1::Event& event, AttemptView& view,
                std::map<ChannelKey, v1::ChannelInfo>& channels) {
  if (event.has_channel()) channels[{source, event.channel().name()}] = event.channel();
  if (event.has_meter()) view.meters[event.meter().resource_id()] = event.meter();
  if (!event.has_reason()) return;
  v1::Reason& reason = view.reasons.emplace_back(event.reason());
  if (reason.domain() == v1::DOMAIN_UNSPECIFIED) reason.set_domain(v1::DOMAIN_ENERGY);
}

}  // namespace

std::int64_t ChannelView::ToPhases(std::int64_t stamp_ns) const {
  if (times.empty()) return stamp_ns;
  const auto after = std::upper_bound(
      times.begin(), times.end(), stamp_ns,
      [](std::int64_t t_ns, const EvenTime& chunk) { return t_ns < chunk.from_ns; });
  return (after == times.begin() ? after : after - 1)->At(stamp_ns);
}

std::int64_t ChannelView::ToPhases(std::size_t index, std::int64_t stamp_ns) const {
  if (times.empty()) return stamp_ns;
  // Where chunks overlap, the later one says when it was.
  const bool overlaps = index + 1 < times.size() && times[index + 1].from_ns <= stamp_ns;
  if (overlaps || stamp_ns < times[index].from_ns) return ToPhases(stamp_ns);
  return times[index].At(stamp_ns);
}

AttemptView ViewAttempt(const AttemptData& data) {
  AttemptView view;
  std::vector<PhaseSpan> phases;
  std::vector<v1::ClockSnapshot> snapshots;
  std::map<ChannelKey, v1::ChannelInfo> channels;
  std::map<RequestKey, RequestTrace> requests;
  for (const v1::Event& event : data.events) {
    switch (event.body_case()) {
      case v1::Event::kFacts:
        // A later one adds to and overrides the earlier.
        if (const auto& shortened = event.facts().shortened(); !shortened.empty())
          view.shortened.assign(shortened.begin(), shortened.end());
        if (event.facts().has_power_path()) view.power_path = event.facts().power_path();
        break;
      case v1::Event::kChannel:
        channels[{0, event.channel().name()}] = event.channel();
        break;
      case v1::Event::kRun:
        view.runs[event.run().run()].done = event.run();
        break;
      case v1::Event::kPhase: {
        const v1::PhaseDone& phase = event.phase();
        phases.push_back(
            {phase.phase(), {phase.start_ns(), phase.end_ns()}, {}, {}, phase.bound_ns()});
        if (phase.has_run()) phases.back().run = phase.run();
        if (phase.has_run() && phase.has_request()) phases.back().request = phase.request();
        break;
      }
      case v1::Event::kRequest:
        requests[{event.request().run(), event.request().request()}].done = event.request();
        break;
      case v1::Event::kClock:
        snapshots.push_back(event.clock());
        break;
      case v1::Event::kReason:
        view.reasons.push_back(event.reason());
        break;
      case v1::Event::kMeter:
        view.meters[event.meter().resource_id()] = event.meter();
        break;
      case v1::Event::kNote:
      case v1::Event::kClockExchange:
      case v1::Event::kMeterTicks:
      case v1::Event::kMeterStats:
      case v1::Event::kPort:
      case v1::Event::BODY_NOT_SET:
        break;
    }
  }
  for (const auto& [source, events] : data.helpers) {
    for (const v1::Event& event : events) TakeHelper(source, event, view, channels);
  }
  for (const v1::TokenBatch& batch : data.tokens) {
    const auto request = requests.find({batch.run(), batch.request()});
    if (request == requests.end()) continue;
    const int n = std::min(batch.idx_size(), batch.t_ns_size());
    std::copy_n(batch.idx().begin(), n, std::back_inserter(request->second.idx));
    std::copy_n(batch.t_ns().begin(), n, std::back_inserter(request->second.t_ns));
  }
  for (auto& [key, request] : requests) {
    const auto run = view.runs.find(key.first);
    if (run != view.runs.end()) run->second.requests.push_back(std::move(request));
  }
  // A run that did not come to its end has no row: its phases are outside of runs.
  for (PhaseSpan& phase : phases) {
    if (phase.run && !view.runs.contains(*phase.run)) phase.run = phase.request = std::nullopt;
  }
  view.span = SpanOf(data.final, phases, view.runs);
  view.partition = CompletePartition(std::move(phases), view.span);
  for (const PhaseSpan& phase : view.partition.spans) {
    if (phase.run && view.runs.at(*phase.run).done.has_bench())
      view.runs.at(*phase.run).parts.push_back(phase.span);
  }
  for (auto& [number, run] : view.runs) {
    if (run.parts.empty()) run.parts.push_back(run.span());
  }
  view.channels = Channels(data, channels);
  for (ChannelView& channel : view.channels) AddCalibration(view.meters, channel.info);
  view.suspends = FindSuspends(std::move(snapshots));
  view.throttles = FindThrottles(view.channels);
  return view;
}

}  // namespace joulefarm::controller
