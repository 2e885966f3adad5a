#include "controller/ingest/channel_trace.h"

#include <algorithm>
#include <cmath>

namespace joulefarm::controller {

ChannelTrace DecodeChannel(const ChannelView& channel) {
  ChannelTrace trace;
  if (!std::isfinite(channel.info.scale()) || channel.info.scale() == 0) return trace;
  TraceDecoder decoder;
  for (std::size_t i = 0; i < channel.chunks.size(); ++i) {
    const v1::TraceChunk& chunk = *channel.chunks[i];
    const std::size_t before = trace.samples.t_ns.size();
    std::int64_t lost = std::max<std::int64_t>(0, chunk.lost());
    if (!decoder.Decode(chunk, trace.samples).ok()) ++trace.damaged;
    const bool empty = trace.samples.t_ns.size() == before;
    if (empty) lost += std::max(0, chunk.n());
    if (lost == 0) continue;
    const std::int64_t from = i == 0 ? chunk.t0_ns() : channel.chunks[i - 1]->t1_ns();
    const bool open = empty && i + 1 < channel.chunks.size();
    const std::int64_t to = open ? channel.chunks[i + 1]->t0_ns() : chunk.t1_ns();
    trace.losses.push_back({{from, std::max(from, to)}, lost});
  }
  return trace;
}

std::optional<double> HighestWithin(const ChannelTrace& trace, double scale,
                                    const Interval& interval) {
  std::optional<double> highest;
  for (std::size_t i = 0; i < trace.samples.t_ns.size(); ++i) {
    const std::int64_t t_ns = trace.samples.t_ns[i];
    if (t_ns < interval.start_ns || t_ns > interval.end_ns) continue;
    const double value = static_cast<double>(trace.samples.raw[i]) * scale;
    highest = std::max(highest.value_or(value), value);
  }
  return highest;
}

std::optional<double> MeanWithin(const ChannelTrace& trace, double scale,
                                 const Interval& interval) {
  double sum = 0;
  int n = 0;
  for (std::size_t i = 0; i < trace.samples.t_ns.size(); ++i) {
    const std::int64_t t_ns = trace.samples.t_ns[i];
    if (t_ns < interval.start_ns || t_ns > interval.end_ns) continue;
    sum += static_cast<double>(trace.samples.raw[i]) * scale;
    ++n;
  }
  if (n == 0) return std::nullopt;
  return sum / n;
}

}  // namespace joulefarm::controller
