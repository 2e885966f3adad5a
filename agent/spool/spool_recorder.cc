#include "agent/spool/spool_recorder.h"

#include <algorithm>
#include <utility>

#include "agent/process/boottime.h"
#include "agent/process/text.h"
#include "agent/spool/gap.h"

namespace joulefarm::agent {
namespace {

// Below the 64 KiB a frame may have, with room for the batch's own framing.
constexpr std::size_t kMaxPayload = 60 << 10;
constexpr std::size_t kMaxText = 12 << 10;
constexpr std::size_t kMaxReason = 256 << 10;
// Tag and length of one entry of a batch.
constexpr std::size_t kEntryOverhead = 6;
// A packed token entry: index, stamp and id.
constexpr int kMaxTokens = 2000;

}  // namespace

v1::Frame MakeFinalFrame(std::int64_t fence, std::int32_t source, v1::Final final_word) {
  final_word.set_reason(Printable(final_word.reason(), kMaxReason));
  v1::Frame frame;
  frame.set_fence(fence);
  frame.set_source(source);
  frame.set_stream(v1::STREAM_FINAL);
  frame.set_seq(1);
  final_word.SerializeToString(frame.mutable_payload());
  Seal(frame);
  return frame;
}

SpoolRecorder::SpoolRecorder(Spool* spool, std::int64_t fence, std::int32_t source,
                             std::chrono::milliseconds window)
    : spool_(spool), fence_(fence), source_(source), window_(window) {
  flusher_ = std::thread([this] { FlushLoop(); });
}

SpoolRecorder::~SpoolRecorder() {
  {
    const std::lock_guard lock(mutex_);
    EmitAll();
    stopping_ = true;
  }
  changed_.notify_all();
  flusher_.join();
}

void SpoolRecorder::Log(const std::string& source, std::string text) {
  v1::LogLine line;
  line.set_t_ns(BoottimeNs());
  line.set_source(Printable(source, 64));
  line.set_text(Printable(text, kMaxText));
  const std::lock_guard lock(mutex_);
  MakeRoom(log_, line.ByteSizeLong());
  *log_.batch.add_lines() = std::move(line);
}

void SpoolRecorder::Record(v1::Event event) {
  if (event.has_note()) {
    event.mutable_note()->set_text(Printable(event.note().text(), kMaxText));
  }
  const std::lock_guard lock(mutex_);
  MakeRoom(event_, event.ByteSizeLong());
  *event_.batch.add_events() = std::move(event);
}

void SpoolRecorder::Record(v1::Metric metric) {
  metric.set_name(Printable(metric.name(), 256));
  metric.set_unit(Printable(metric.unit(), 64));
  const std::lock_guard lock(mutex_);
  MakeRoom(metric_, metric.ByteSizeLong());
  *metric_.batch.add_metrics() = std::move(metric);
}

void SpoolRecorder::Record(v1::TokenBatch tokens) {
  const std::lock_guard lock(mutex_);
  // One frame holds some thousand tokens; the three lists are cut apart in step.
  int at = 0;
  const int longest = std::max({tokens.idx_size(), tokens.t_ns_size(), tokens.id_size()});
  if (longest <= kMaxTokens) {
    AddTokens(std::move(tokens));
    return;
  }
  for (; at < longest; at += kMaxTokens) {
    v1::TokenBatch part;
    part.set_run(tokens.run());
    part.set_request(tokens.request());
    const auto cut = [at](const auto& from, auto* to) {
      const int end = std::min(from.size(), at + kMaxTokens);
      if (at < end) to->Add(from.begin() + at, from.begin() + end);
    };
    cut(tokens.idx(), part.mutable_idx());
    cut(tokens.t_ns(), part.mutable_t_ns());
    cut(tokens.id(), part.mutable_id());
    AddTokens(std::move(part));
  }
}

void SpoolRecorder::AddTokens(v1::TokenBatch tokens) {
  const bool same = token_.bytes > 0 && token_.batch.run() == tokens.run() &&
                    token_.batch.request() == tokens.request();
  if (!same) Emit(token_);
  MakeRoom(token_, tokens.ByteSizeLong());
  if (token_.batch.idx_size() == 0 && token_.batch.id_size() == 0) {
    token_.batch = std::move(tokens);
  } else {
    token_.batch.MergeFrom(tokens);
  }
}

void SpoolRecorder::Record(v1::Stream stream, v1::TraceChunk chunk) {
  // Samplers cut their chunks small; one that could never be sent becomes a gap.
  if (chunk.ByteSizeLong() > kMaxPayload) {
    chunk.clear_data();
    chunk.set_gap(true);
  }
  const std::lock_guard lock(mutex_);
  Pending<v1::TraceBatch>& pending = stream == v1::STREAM_POWER ? power_ : host_;
  MakeRoom(pending, chunk.ByteSizeLong());
  *pending.batch.add_chunks() = std::move(chunk);
}

void SpoolRecorder::Flush() {
  const std::lock_guard lock(mutex_);
  EmitAll();
}

absl::Status SpoolRecorder::Finish(v1::Final final_word) {
  {
    const std::lock_guard lock(mutex_);
    EmitAll();
    finished_ = true;
    final_word.clear_last();
    const auto list = [&](const auto& pending) {
      if (pending.last_seq == 0) return;
      v1::StreamCursor* cursor = final_word.add_last();
      cursor->set_fence(fence_);
      cursor->set_source(source_);
      cursor->set_stream(pending.stream);
      cursor->set_last_seq(pending.last_seq);
    };
    list(log_);
    list(event_);
    list(metric_);
    list(power_);
    list(host_);
    list(token_);
  }
  return spool_->Finish(MakeFinalFrame(fence_, source_, std::move(final_word)));
}

template <typename Batch>
void SpoolRecorder::MakeRoom(Pending<Batch>& pending, std::size_t bytes) {
  const std::size_t size = bytes + kEntryOverhead;
  if (pending.bytes > 0 && pending.bytes + size > kMaxPayload) Emit(pending);
  pending.bytes += size;
  if (waiting_) return;
  waiting_ = true;
  changed_.notify_all();
}

template <typename Batch>
void SpoolRecorder::Emit(Pending<Batch>& pending) {
  if (pending.bytes == 0) return;
  if (!finished_) {
    v1::Frame frame;
    frame.set_fence(fence_);
    frame.set_source(source_);
    frame.set_stream(pending.stream);
    frame.set_seq(++pending.last_seq);
    pending.batch.SerializeToString(frame.mutable_payload());
    Seal(frame);
    // Under the lock: a stream's frames must reach the spool in order. Append does not wait.
    spool_->Append(std::move(frame));
  }
  pending.batch.Clear();
  pending.bytes = 0;
}

void SpoolRecorder::EmitAll() {
  Emit(log_);
  Emit(event_);
  Emit(metric_);
  Emit(power_);
  Emit(host_);
  Emit(token_);
  waiting_ = false;
}

void SpoolRecorder::FlushLoop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait(lock, [&] { return stopping_ || waiting_; });
    if (changed_.wait_for(lock, window_, [&] { return stopping_; })) return;
    EmitAll();
  }
}

}  // namespace joulefarm::agent
