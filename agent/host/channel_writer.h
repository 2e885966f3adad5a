// Hands the samples of one channel to the recorder in encoded chunks, when it is told to: chunks of
// several channels that are handed over together travel together.
//
// Threads: one. Ownership: the encoder and the recorder outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/workload/recorder.h"
#include "common/trace/chunk_writer.h"

namespace joulefarm::agent {

class ChannelWriter {
 public:
  // `stream` is STREAM_HOST or STREAM_POWER.
  ChannelWriter(std::string channel, v1::Stream stream, ChunkLimits limits, TraceEncoder* encoder,
                Recorder* recorder)
      : stream_(stream), chunks_(std::move(channel), encoder, limits), recorder_(recorder) {}

  // t_ns: BOOTTIME, or on the channel's own clock. The value is raw times the channel's scale.
  void Add(std::int64_t t_ns, std::int64_t raw) {
    if (std::optional<v1::TraceChunk> chunk = chunks_.Add(t_ns, raw))
      full_.push_back(*std::move(chunk));
  }
  void AddLost(std::int64_t samples) { chunks_.AddLost(samples); }
  void Flush() {
    for (v1::TraceChunk& chunk : std::exchange(full_, {}))
      recorder_->Record(stream_, std::move(chunk));
    if (std::optional<v1::TraceChunk> chunk = chunks_.Flush())
      recorder_->Record(stream_, *std::move(chunk));
  }

 private:
  v1::Stream stream_;
  ChunkWriter chunks_;
  std::vector<v1::TraceChunk> full_;
  Recorder* recorder_;
};

}  // namespace joulefarm::agent
