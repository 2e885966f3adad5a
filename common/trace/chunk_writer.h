// Collects the samples of one channel and cuts them into chunks.
//
// Threads: one. Ownership: the encoder, which several writers of a thread may share, outlives the
// writer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/trace/trace_codec.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm {

// A chunk ends before it would cover more time, or could become larger than 32 KiB: 2 000 samples
// of 16 bytes.
struct ChunkLimits {
  std::int64_t span_ns = 250'000'000;
  std::size_t samples = 2000;  // at most kMaxTraceSamples
};

class ChunkWriter {
 public:
  ChunkWriter(std::string channel, TraceEncoder* encoder, ChunkLimits limits = {});

  // Takes a sample, BOOTTIME ns. Returns the chunk that was complete before it, if it begins a new
  // one.
  std::optional<v1::TraceChunk> Add(std::int64_t t_ns, std::int64_t raw);

  // Samples known to be lost since the last one; reported with the chunk under way or the next.
  void AddLost(std::int64_t samples) { lost_ += samples; }

  // What was collected, if its first sample is span_ns old; for channels too slow for Add to see
  // the end.
  std::optional<v1::TraceChunk> FlushIfDue(std::int64_t now_ns);

  // What was collected; nothing when there are neither samples nor losses. Losses alone make a
  // chunk without samples, at the last stamp there was.
  std::optional<v1::TraceChunk> Flush();

 private:
  std::string channel_;
  TraceEncoder* encoder_;
  ChunkLimits limits_;
  std::vector<std::int64_t> t_ns_;
  std::vector<std::int64_t> raw_;
  std::int64_t last_ns_ = 0;
  std::int64_t lost_ = 0;
};

}  // namespace joulefarm
