#include "controller/ingest/source_clocks.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/text/number.h"
#include "common/trace/even_time.h"
#include "common/units/units.h"

namespace joulefarm::controller {
namespace {

// What a clock whose rate is off by at most `rate` can be away from an even one in the middle of a
// stretch whose ends are known.
std::int64_t Sag(double rate, std::int64_t length_ns) {
  return static_cast<std::int64_t>(std::ceil(rate * static_cast<double>(length_ns) / 2));
}

std::optional<std::int64_t> Stated(bool has, std::int64_t ns) {
  if (!has) return std::nullopt;
  return std::max<std::int64_t>(0, ns);
}

}  // namespace

struct SourceClocks::Place {
  std::int64_t t_ns = 0;
  ClockParts parts;
  // Between places of which one of these differs nothing is interpolated.
  int piece = 0;
  int source_segment = 0;
  int device_segment = 0;
  double wander = 0;  // of the way there

  bool Joins(const Place& other) const {
    return piece == other.piece && source_segment == other.source_segment &&
           device_segment == other.device_segment;
  }
};

SourceClocks::SourceClocks(const AttemptData& data) {
  for (const v1::Event& event : data.events) Take(0, event);
  for (const auto& [source, events] : data.helpers) {
    for (const v1::Event& event : events) Take(source, event);
  }
}

SourceClocks::~SourceClocks() = default;

void SourceClocks::Take(int source, const v1::Event& event) {
  if (event.has_clock()) sources_[source].clock.snapshots.push_back(event.clock());
  if (event.has_clock_exchange())
    sources_[source].clock.exchanges.push_back(event.clock_exchange());
  if (!event.has_meter_ticks()) return;
  const v1::MeterTicks& ticks = event.meter_ticks();
  std::vector<TickPair>& pairs = sources_[source].ticks[ticks.clock()];
  const int n = std::min(ticks.tick_ns_size(), ticks.arrived_ns_size());
  for (int i = 0; i < n; ++i)
    pairs.push_back({ticks.tick_ns(i), ticks.arrived_ns(i), ticks.restarted() && i == 0});
}

const HostOffsets& SourceClocks::OffsetsOf(int source) {
  const auto known = offsets_.find(source);
  if (known != offsets_.end()) return known->second;
  return offsets_.emplace(source, HostOffsets(sources_[source].clock)).first->second;
}

const TickFit& SourceClocks::FitOf(int source, const std::string& clock) {
  const std::pair key(source, clock);
  const auto known = fits_.find(key);
  if (known != fits_.end()) return known->second;
  return fits_.emplace(key, TickFit(sources_[source].ticks[clock])).first->second;
}

// False: nothing bounds it.
bool SourceClocks::Find(const ChannelView& channel, const TickFit* fit, std::int64_t stamp_ns,
                        Place& place) {
  place.t_ns = stamp_ns;
  if (fit != nullptr) {
    const auto tick = fit->At(stamp_ns);
    if (!tick) return false;
    place.t_ns = tick->t_ns;
    place.parts.meter_fit_ns = tick->bound_ns;
    place.piece = tick->piece;
    place.wander += 2 * tick->wander;
  }
  if (channel.source == 0) return true;
  const auto joined = Join(OffsetsOf(channel.source), OffsetsOf(0), place.t_ns);
  if (!joined) return false;
  place.t_ns = joined->t_ns;
  place.parts.source_host_ns = joined->source_bound_ns;
  place.parts.device_host_ns = joined->device_bound_ns;
  place.source_segment = joined->source_segment;
  place.device_segment = joined->device_segment;
  place.wander += 2 * kMostPeerRate;
  return true;
}

// Of either host: then nothing it says of the other can be believed.
bool SourceClocks::Contradicts(ChannelView& channel) {
  if (channel.source == 0) return false;
  for (const int source : {channel.source, 0}) {
    const auto violation = OffsetsOf(source).violation();
    if (!violation) continue;
    AddFinding(channel.findings,
               MakeFinding(Code::kClockViolated, absl::StrFormat("source %d: %.3g ms>0", source,
                                                                 violation->by_ns * 1e-6)));
    return true;
  }
  return false;
}

std::string SourceClocks::WhatIsMissing(const ChannelView& channel) {
  if (!channel.info.clock().empty()) {
    const std::vector<TickPair>& ticks = sources_[channel.source].ticks[channel.info.clock()];
    if (ticks.empty()) return absl::StrCat("no ticks of ", channel.info.clock());
    const TickFit& fit = FitOf(channel.source, channel.info.clock());
    if (!fit.problems().empty()) return fit.problems().front();
  }
  for (const int source : {channel.source, 0}) {
    if (channel.source != 0 && OffsetsOf(source).by_peer().empty())
      return absl::StrCat("no clock exchange of source ", source);
  }
  return "no time that both hosts exchanged stamps of";
}

void SourceClocks::Align(ChannelView& channel) {
  const v1::ChannelInfo& info = channel.info;
  channel.clock.stamp_ns = Stated(info.has_stamp_bound_ns(), info.stamp_bound_ns());
  channel.clock.latency_ns = Stated(info.has_latency_u_ns(), info.latency_u_ns());
  if (channel.source == 0 && info.clock().empty()) return;
  const TickFit* const fit = info.clock().empty() ? nullptr : &FitOf(channel.source, info.clock());
  std::vector<EvenTime>& times = channel.times;
  std::vector<const AttemptData::Chunk*> kept;
  ClockParts widest;
  std::int64_t left_out_ns = 0;
  const bool contradicts = Contradicts(channel);
  for (const AttemptData::Chunk* item : channel.chunks) {
    const v1::TraceChunk& chunk = item->chunk;
    const std::int64_t length_ns = chunk.t1_ns() - chunk.t0_ns();
    Place from;
    Place to;
    if (contradicts || length_ns < 0 || !Find(channel, fit, chunk.t0_ns(), from) ||
        !Find(channel, fit, chunk.t1_ns(), to) || !from.Joins(to)) {
      left_out_ns += std::max<std::int64_t>(0, length_ns);
      continue;
    }
    kept.push_back(item);
    times.push_back({chunk.t0_ns(), chunk.t1_ns(), from.t_ns, to.t_ns});
    channel.clock_rate = std::max({channel.clock_rate, from.wander, to.wander});
    for (const Place* place : {&from, &to}) {
      ClockParts parts = place->parts;
      std::optional<std::int64_t>& sags =
          parts.meter_fit_ns ? parts.meter_fit_ns : parts.source_host_ns;
      *sags += Sag(place->wander, length_ns);
      if (parts.Sum() > widest.Sum()) widest = parts;
    }
  }
  const bool had_chunks = !channel.chunks.empty();
  channel.chunks = std::move(kept);
  channel.clock_bound_ns = widest.Sum();
  channel.clock.meter_fit_ns = widest.meter_fit_ns;
  channel.clock.source_host_ns = widest.source_host_ns;
  channel.clock.device_host_ns = widest.device_host_ns;
  if (!channel.chunks.empty()) {
    if (left_out_ns > 0) {
      AddFinding(
          channel.findings,
          MakeFinding(
              Code::kClockBreak,
              absl::StrCat(SecondsText(static_cast<double>(left_out_ns) * kSecondsPerNs), ">0")));
    }
    return;
  }
  channel.clock_unknown = true;
  if (had_chunks && !contradicts) {
    AddFinding(channel.findings, MakeFinding(Code::kClockUnknown, WhatIsMissing(channel)));
  }
}

}  // namespace joulefarm::controller
