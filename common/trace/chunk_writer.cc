#include "common/trace/chunk_writer.h"

#include <algorithm>
#include <utility>

namespace joulefarm {

ChunkWriter::ChunkWriter(std::string channel, TraceEncoder* encoder, ChunkLimits limits)
    : channel_(std::move(channel)), encoder_(encoder), limits_(limits) {
  limits_.samples = std::clamp<std::size_t>(limits_.samples, 1, kMaxTraceSamples);
}

std::optional<v1::TraceChunk> ChunkWriter::Add(std::int64_t t_ns, std::int64_t raw) {
  std::optional<v1::TraceChunk> done;
  if (!t_ns_.empty() &&
      (t_ns_.size() >= limits_.samples || t_ns - t_ns_.front() > limits_.span_ns)) {
    // The losses came after the last sample: they belong to the chunk that begins.
    const std::int64_t lost = std::exchange(lost_, 0);
    done = Flush();
    lost_ = lost;
  }
  t_ns_.push_back(t_ns);
  raw_.push_back(raw);
  last_ns_ = t_ns;
  return done;
}

std::optional<v1::TraceChunk> ChunkWriter::FlushIfDue(std::int64_t now_ns) {
  if (t_ns_.empty() || now_ns - t_ns_.front() < limits_.span_ns) return std::nullopt;
  return Flush();
}

std::optional<v1::TraceChunk> ChunkWriter::Flush() {
  if (t_ns_.empty() && lost_ == 0) return std::nullopt;
  v1::TraceChunk chunk;
  chunk.set_channel(channel_);
  chunk.set_lost(std::exchange(lost_, 0));
  chunk.set_t0_ns(t_ns_.empty() ? last_ns_ : t_ns_.front());
  chunk.set_t1_ns(last_ns_);
  if (!t_ns_.empty()) {
    // Cannot fail: both columns have 1 to limits_.samples numbers.
    absl::StatusOr<std::string> data = encoder_->Encode(t_ns_, raw_);
    if (data.ok()) {
      chunk.set_n(static_cast<std::int32_t>(t_ns_.size()));
      chunk.set_data(*std::move(data));
    }
    t_ns_.clear();
    raw_.clear();
  }
  return chunk;
}

}  // namespace joulefarm
