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

// Where what is known of a whole chunk comes from.
enum class Summaries {
  kStored,    // made when it was stored, where there is one
  kComputed,  // from its samples
};

struct ChannelTrace {
  TraceSamples samples;           // stamps of the phases' clock
  std::vector<KnownLoss> losses;  // also of chunks that were dropped or are damaged
  int damaged = 0;                // chunks
};

// Values of a channel without one mean nothing.
bool HasScale(const ChannelView& channel);

// A channel without a usable scale has no samples.
ChannelTrace DecodeChannel(const ChannelView& channel);

// False: its bytes are not those that were stored.
bool IsSound(const AttemptData::Chunk& chunk);

// Appends the samples with the stamps as recorded. DATA_LOSS: damaged; nothing was appended.
absl::Status DecodeChunk(const AttemptData::Chunk& chunk, TraceDecoder& decoder,
                         TraceSamples& samples);

// Adds what is missing before or inside the chunk at `index`; of an `empty` one all its samples.
void AddLoss(const ChannelView& channel, std::size_t index, bool empty,
             std::vector<KnownLoss>& losses);

// The highest value inside [start, end], in the channel's unit.
std::optional<double> HighestWithin(const ChannelTrace& trace, double scale,
                                    const Interval& interval);

// The mean of the values inside [start, end], in the channel's unit; nullopt without one.
std::optional<double> MeanWithin(const ChannelTrace& trace, double scale, const Interval& interval);

}  // namespace joulefarm::controller
