// Hands the samples of one channel to the recorder in encoded chunks.
//
// Threads: one. Ownership: the encoder and the recorder outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/workload/recorder.h"
#include "common/trace/chunk_writer.h"

namespace joulefarm::agent {

class ChannelWriter {
 public:
  // `stream` is STREAM_HOST or STREAM_POWER.
  ChannelWriter(std::string channel, v1::Stream stream, ChunkLimits limits, TraceEncoder* encoder,
                Recorder* recorder)
      : stream_(stream), chunks_(std::move(channel), encoder, limits), recorder_(recorder) {}

  // t_ns: BOOTTIME. The value is raw times the channel's scale.
  void Add(std::int64_t t_ns, std::int64_t raw) { HandOver(chunks_.Add(t_ns, raw)); }
  void AddLost(std::int64_t samples) { chunks_.AddLost(samples); }
  void FlushIfDue(std::int64_t now_ns) { HandOver(chunks_.FlushIfDue(now_ns)); }
  void Flush() { HandOver(chunks_.Flush()); }

 private:
  void HandOver(std::optional<v1::TraceChunk> chunk) {
    if (chunk) recorder_->Record(stream_, std::move(*chunk));
  }

  v1::Stream stream_;
  ChunkWriter chunks_;
  Recorder* recorder_;
};

}  // namespace joulefarm::agent
