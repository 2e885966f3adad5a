// Decodes what was recorded of a channel.
//
// Threads: pure functions. Ownership: results own their columns.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/measure/energy.h"
#include "common/trace/trace_codec.h"
#include "controller/ingest/attempt_view.h"

namespace joulefarm::controller {

struct ChannelTrace {
  TraceSamples samples;
  std::vector<KnownLoss> losses;  // also of chunks that were dropped or are damaged
  int damaged = 0;                // chunks
};

// A channel without a usable scale has no samples.
ChannelTrace DecodeChannel(const ChannelView& channel);

// The highest value inside [start, end], in the channel's unit.
std::optional<double> HighestWithin(const ChannelTrace& trace, double scale,
                                    const Interval& interval);

// The mean of the values inside [start, end], in the channel's unit; nullopt without one.
std::optional<double> MeanWithin(const ChannelTrace& trace, double scale, const Interval& interval);

}  // namespace joulefarm::controller
