#include "controller/ingest/channel_trace.h"

#include <algorithm>
#include <cmath>

#include "common/crc32c/crc32c.h"

namespace joulefarm::controller {

bool HasScale(const ChannelView& channel) {
  return std::isfinite(channel.info.scale()) && channel.info.scale() != 0;
}

bool IsSound(const AttemptData::Chunk& chunk) {
  return !chunk.crc32c || *chunk.crc32c == Crc32c(chunk.chunk.data());
}

absl::Status DecodeChunk(const AttemptData::Chunk& chunk, TraceDecoder& decoder,
                         TraceSamples& samples) {
  if (!IsSound(chunk))
    return absl::DataLossError("a stored chunk of samples does not agree with its checksum");
  return decoder.Decode(chunk.chunk, samples);
}

void AddLoss(const ChannelView& channel, std::size_t index, bool empty,
             std::vector<KnownLoss>& losses) {
  const v1::TraceChunk& chunk = channel.chunks[index]->chunk;
  std::int64_t lost = std::max<std::int64_t>(0, chunk.lost());
  if (empty) lost += std::max(0, chunk.n());
  if (lost == 0) return;
  const std::int64_t from =
      channel.ToPhases(index == 0 ? chunk.t0_ns() : channel.chunks[index - 1]->chunk.t1_ns());
  const bool open = empty && index + 1 < channel.chunks.size();
  const std::int64_t to =
      channel.ToPhases(open ? channel.chunks[index + 1]->chunk.t0_ns() : chunk.t1_ns());
  losses.push_back({{from, std::max(from, to)}, lost});
}

ChannelTrace DecodeChannel(const ChannelView& channel) {
  ChannelTrace trace;
  if (!HasScale(channel)) return trace;
  TraceDecoder decoder;
  for (std::size_t i = 0; i < channel.chunks.size(); ++i) {
    const std::size_t before = trace.samples.t_ns.size();
    if (!DecodeChunk(*channel.chunks[i], decoder, trace.samples).ok()) ++trace.damaged;
    AddLoss(channel, i, trace.samples.t_ns.size() == before, trace.losses);
  }
  if (channel.on_other_clock()) {
    for (std::int64_t& t_ns : trace.samples.t_ns) t_ns = channel.ToPhases(t_ns);
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
