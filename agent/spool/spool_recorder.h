// A Recorder that batches what it is given into frames of the spool.
//
// A stream's batch becomes a frame when it would pass 60 KiB or its first entry is 250 ms old. Text
// is made printable on the way in, because a frame with bytes that are not UTF-8 could never be
// read.
//
// Thread rule: every method may be called from any thread. Ownership: the spool outlives the
// recorder.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "agent/spool/spool.h"
#include "agent/workload/recorder.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

// Builds the sealed FINAL frame: seq 1, its reason made printable and cut at 256 KiB.
v1::Frame MakeFinalFrame(std::int64_t fence, std::int32_t source, v1::Final final_word);

class SpoolRecorder : public Recorder {
 public:
  SpoolRecorder(Spool* spool, std::int64_t fence, std::int32_t source,
                std::chrono::milliseconds window = std::chrono::milliseconds(250));
  ~SpoolRecorder() override;
  SpoolRecorder(const SpoolRecorder&) = delete;
  SpoolRecorder& operator=(const SpoolRecorder&) = delete;

  void Log(const std::string& source, std::string text) override;
  void Record(v1::Event event) override;
  void Record(v1::Metric metric) override;
  void Record(v1::TokenBatch tokens) override;
  void Record(v1::Stream stream, v1::TraceChunk chunk) override;

  // Makes frames of everything there is.
  void Flush();
  // The last word: fills in the streams' last seqs and waits until it is durable. What is recorded
  // later is dropped.
  absl::Status Finish(v1::Final final_word);

 private:
  template <typename Batch>
  struct Pending {
    explicit Pending(v1::Stream of) : stream(of) {}
    const v1::Stream stream;
    Batch batch;
    std::size_t bytes = 0;
    std::int64_t last_seq = 0;
  };

  template <typename Batch>
  void MakeRoom(Pending<Batch>& pending, std::size_t bytes);
  template <typename Batch>
  void Emit(Pending<Batch>& pending);
  void AddTokens(v1::TokenBatch tokens);
  void EmitAll();
  void FlushLoop();

  Spool* const spool_;
  const std::int64_t fence_;
  const std::int32_t source_;
  const std::chrono::milliseconds window_;

  std::mutex mutex_;
  std::condition_variable changed_;
  Pending<v1::LogBatch> log_{v1::STREAM_LOG};
  Pending<v1::EventBatch> event_{v1::STREAM_EVENT};
  Pending<v1::MetricBatch> metric_{v1::STREAM_METRIC};
  Pending<v1::TraceBatch> power_{v1::STREAM_POWER};
  Pending<v1::TraceBatch> host_{v1::STREAM_HOST};
  Pending<v1::TokenBatch> token_{v1::STREAM_TOKEN};
  bool waiting_ = false;  // something is batched
  bool finished_ = false;
  bool stopping_ = false;
  std::thread flusher_;
};

}  // namespace joulefarm::agent
