// A spool in a directory of its own, and frames to put in.
//
// Thread rule: one thread. Ownership: values.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/spool/gap.h"
#include "agent/spool/spool.h"

namespace joulefarm::agent {

// What the spool told, with a way to wait for it.
class Heard {
 public:
  SpoolListener Listener() {
    return {
        .committed = [this] { Note([this] { ++committed_; }); },
        .uploaded = [this](std::int64_t fence) { Note([&] { uploaded_.push_back(fence); }); },
        .failed =
            [this](absl::Status status) { Note([&] { failures_.push_back(std::move(status)); }); }};
  }
  std::vector<std::int64_t> uploaded() {
    const std::lock_guard lock(mutex_);
    return uploaded_;
  }
  std::vector<absl::Status> failures() {
    const std::lock_guard lock(mutex_);
    return failures_;
  }
  int committed() {
    const std::lock_guard lock(mutex_);
    return committed_;
  }

 private:
  template <typename Work>
  void Note(Work work) {
    const std::lock_guard lock(mutex_);
    work();
  }
  std::mutex mutex_;
  int committed_ = 0;
  std::vector<std::int64_t> uploaded_;
  std::vector<absl::Status> failures_;
};

inline SpoolOptions TestSpoolOptions(const std::filesystem::path& dir, Heard* heard = nullptr) {
  SpoolOptions options;
  options.dir = dir;
  options.boot_id = "boot-1";
  options.group_window = std::chrono::milliseconds(1);
  options.acknowledged_window = std::chrono::milliseconds(1);
  options.finish_limit = std::chrono::milliseconds(2000);
  options.reserve_bytes = 256 << 10;
  if (heard != nullptr) options.listener = heard->Listener();
  return options;
}

inline std::unique_ptr<Spool> OpenSpool(SpoolOptions options) {
  absl::StatusOr<Spool::Opened> opened = Spool::Open(std::move(options));
  if (!opened.ok()) {
    ADD_FAILURE() << opened.status();
    return nullptr;
  }
  EXPECT_FALSE(opened->set_aside.has_value());
  return std::move(opened->spool);
}

inline v1::Grant MakeGrant(std::int64_t fence, const std::string& device = "d") {
  v1::Grant grant;
  grant.set_fence(fence);
  grant.set_device_id(device);
  grant.set_job_id(absl::StrCat("job-", fence));
  grant.mutable_spec()->set_cell("threads=1");
  return grant;
}

inline v1::Frame MakeFrame(std::int64_t fence, v1::Stream stream, std::int64_t seq,
                           std::string payload) {
  v1::Frame frame;
  frame.set_fence(fence);
  frame.set_stream(stream);
  frame.set_seq(seq);
  frame.set_payload(std::move(payload));
  Seal(frame);
  return frame;
}

inline v1::Frame PowerFrame(std::int64_t fence, std::int64_t seq, std::size_t data_bytes) {
  v1::TraceBatch batch;
  v1::TraceChunk* chunk = batch.add_chunks();
  chunk->set_channel("estimated");
  chunk->set_t0_ns(100);
  chunk->set_t1_ns(200);
  chunk->set_n(10);
  chunk->set_data(std::string(data_bytes, 'p'));
  return MakeFrame(fence, v1::STREAM_POWER, seq, batch.SerializeAsString());
}

inline v1::Frame LogFrame(std::int64_t fence, std::int64_t seq, std::size_t bytes) {
  v1::LogBatch batch;
  v1::LogLine* line = batch.add_lines();
  line->set_t_ns(5);
  line->set_source("engine");
  line->set_text(std::string(bytes, 'l'));
  return MakeFrame(fence, v1::STREAM_LOG, seq, batch.SerializeAsString());
}

inline v1::Frame EventFrame(std::int64_t fence, std::int64_t seq, std::size_t bytes = 10) {
  v1::EventBatch batch;
  batch.add_events()->mutable_note()->set_text(std::string(bytes, 'e'));
  return MakeFrame(fence, v1::STREAM_EVENT, seq, batch.SerializeAsString());
}

inline v1::Frame FinalFrame(std::int64_t fence) {
  v1::Final final_word;
  final_word.set_outcome(v1::OUTCOME_SUCCEEDED);
  return MakeFrame(fence, v1::STREAM_FINAL, 1, final_word.SerializeAsString());
}

inline v1::StreamCursor Cursor(std::int64_t fence, v1::Stream stream, std::int64_t seq) {
  v1::StreamCursor cursor;
  cursor.set_fence(fence);
  cursor.set_stream(stream);
  cursor.set_last_seq(seq);
  return cursor;
}

inline std::vector<StoredFrame> ReadAll(Spool& spool) {
  absl::StatusOr<std::vector<StoredFrame>> frames = spool.Read(0, std::size_t{1} << 30);
  EXPECT_TRUE(frames.ok()) << frames.status();
  return frames.ok() ? *std::move(frames) : std::vector<StoredFrame>();
}

inline v1::TraceChunk FirstChunk(const v1::Frame& frame) {
  v1::TraceBatch batch;
  EXPECT_TRUE(batch.ParseFromString(frame.payload()));
  EXPECT_GT(batch.chunks_size(), 0);
  return batch.chunks_size() > 0 ? batch.chunks(0) : v1::TraceChunk();
}

}  // namespace joulefarm::agent
