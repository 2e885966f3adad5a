// The samples of a channel by chunk. Chunks that lie wholly inside what is integrated count by
// their summary; only those that something begins or ends in are decoded. Either way a chunk gives
// the same numbers, so results do not depend on where the summary came from.
//
// Threads: one. Ownership: the channel outlives it; traces are values.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/measure/energy.h"
#include "common/trace/trace_codec.h"
#include "controller/ingest/attempt_view.h"
#include "controller/ingest/channel_trace.h"

namespace joulefarm::controller {

class PowerBlocks {
 public:
  // A value stands for the instant `delay_ns` before its stamp.
  PowerBlocks(const ChannelView& channel, std::int64_t delay_ns, Summaries summaries);

  // What integrating these parts needs: every sample within `reach_ns` of an edge and the one next
  // to those, and stretches between.
  PowerTrace Around(absl::Span<const Interval> parts, std::int64_t reach_ns);
  PowerTrace All();

  Interval CoveredTime() const;
  int damaged() const { return damaged_; }

 private:
  struct Block {
    std::size_t chunk = 0;  // index in the channel's
    std::int64_t samples = 0;
    std::int64_t first_ns = 0;
    std::int64_t last_ns = 0;
    TraceSummary summary;
    double rate = 1;                     // of the phases' clock against that of the stamps
    bool whole = false;                  // nothing is missing: its summary stands for its samples
    bool own = false;                    // its samples are not all of the chunk's
    std::optional<TraceSamples> opened;  // stamps of the phases' clock
  };

  void Take(std::size_t index, Summaries summaries);
  void TakeSamples(std::size_t index, TraceSamples samples);
  void FindPeriod();
  bool Decode(const AttemptData::Chunk& chunk, TraceSamples& samples);
  // Of a stamp of the chunk at `index`.
  std::int64_t At(std::size_t index, std::int64_t stamp_ns) const;
  const TraceSamples& Open(Block& block);
  PowerTrace Empty() const;
  // Those behind what the trace has, from the last one not after `from_ns` to the first one after
  // `to_ns`.
  void AddSamples(Block& block, std::int64_t from_ns, std::int64_t to_ns, PowerTrace& trace);
  void AddSample(std::int64_t t_ns, std::int64_t raw, PowerTrace& trace) const;
  void AddStretch(const Block& block, PowerTrace& trace) const;
  double Watts(std::int64_t raw) const { return static_cast<double>(raw) * scale_; }

  const ChannelView& channel_;
  const std::int64_t delay_ns_;
  const double scale_;
  TraceDecoder decoder_;
  std::vector<Block> blocks_;
  std::vector<KnownLoss> losses_;
  std::int64_t period_ns_ = 0;
  std::int64_t samples_ = 0;
  std::int64_t duplicates_ = 0;
  int damaged_ = 0;
};

}  // namespace joulefarm::controller
