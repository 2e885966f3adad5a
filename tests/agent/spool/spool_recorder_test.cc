#include "agent/spool/spool_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "common/crc32c/crc32c.h"
#include "tests/agent/spool/spool_fixture.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

constexpr std::chrono::milliseconds kNever = std::chrono::hours(1);

class SpoolRecorderTest : public testing::Test {
 protected:
  void SetUp() override {
    spool_ = OpenSpool(TestSpoolOptions(dir_.path()));
    ASSERT_NE(spool_, nullptr);
    ASSERT_TRUE(spool_->PersistGrant(MakeGrant(1)).ok());
  }
  // Every frame, checked for what holds of all of them.
  std::vector<v1::Frame> Frames() {
    spool_->Flush();
    std::map<int, std::int64_t> next;
    std::vector<v1::Frame> frames;
    for (StoredFrame& stored : ReadAll(*spool_)) {
      EXPECT_EQ(stored.frame.seq(), ++next[stored.frame.stream()]);
      EXPECT_EQ(stored.frame.crc32c(), Crc32c(stored.frame.payload()));
      EXPECT_LE(stored.frame.payload().size(), std::size_t{64} << 10);
      frames.push_back(std::move(stored.frame));
    }
    return frames;
  }
  TempDir dir_;
  std::unique_ptr<Spool> spool_;
};

v1::Event NoteEvent(std::string text) {
  v1::Event event;
  event.mutable_note()->set_text(std::move(text));
  return event;
}

TEST_F(SpoolRecorderTest, BatchesPerStreamUntilFlushed) {
  SpoolRecorder recorder(spool_.get(), 1, 0, kNever);
  for (int i = 0; i < 5; ++i) recorder.Record(NoteEvent("n"));
  recorder.Log("agent", "hello");
  EXPECT_TRUE(Frames().empty());
  recorder.Flush();
  const auto frames = Frames();
  ASSERT_EQ(frames.size(), 2u);
  for (const v1::Frame& frame : frames) {
    if (frame.stream() != v1::STREAM_EVENT) continue;
    v1::EventBatch batch;
    ASSERT_TRUE(batch.ParseFromString(frame.payload()));
    EXPECT_EQ(batch.events_size(), 5);
  }
}

TEST_F(SpoolRecorderTest, AgeMakesAFrameWithoutBeingAsked) {
  SpoolRecorder recorder(spool_.get(), 1, 0, std::chrono::milliseconds(1));
  recorder.Record(NoteEvent("n"));
  while (Frames().empty()) std::this_thread::yield();
}

TEST_F(SpoolRecorderTest, FramesStayWithinTheLimitAndNothingIsLost) {
  SpoolRecorder recorder(spool_.get(), 1, 0, kNever);
  for (int i = 0; i < 300; ++i) recorder.Record(NoteEvent(std::string(1000, 'x')));
  recorder.Flush();
  int events = 0;
  const auto frames = Frames();
  EXPECT_GT(frames.size(), 4u);
  for (const v1::Frame& frame : frames) {
    v1::EventBatch batch;
    ASSERT_TRUE(batch.ParseFromString(frame.payload()));
    events += batch.events_size();
  }
  EXPECT_EQ(events, 300);
}

TEST_F(SpoolRecorderTest, HostileTextCannotMakeAFrameUnreadable) {
  SpoolRecorder recorder(spool_.get(), 1, 0, kNever);
  for (int i = 0; i < 8; ++i) recorder.Log("engine", std::string(200'000, '\xFF'));
  recorder.Flush();
  const auto frames = Frames();
  ASSERT_GE(frames.size(), 1u);
  for (const v1::Frame& frame : frames) {
    v1::LogBatch batch;
    EXPECT_TRUE(batch.ParseFromString(frame.payload()));
  }
}

TEST_F(SpoolRecorderTest, TokensOfOneRequestShareFramesAndLongListsAreCutInStep) {
  SpoolRecorder recorder(spool_.get(), 1, 0, kNever);
  v1::TokenBatch tokens;
  tokens.set_run(2);
  tokens.set_request(1);
  for (int i = 0; i < 5000; ++i) {
    tokens.add_idx(i + 1);
    tokens.add_t_ns(std::int64_t{1} << 60);
    tokens.add_id(i);
  }
  recorder.Record(tokens);
  v1::TokenBatch other;
  other.set_run(3);
  other.add_idx(1);
  other.add_t_ns(9);
  recorder.Record(other);
  recorder.Flush();
  int idx = 0;
  int others = 0;
  for (const v1::Frame& frame : Frames()) {
    v1::TokenBatch batch;
    ASSERT_TRUE(batch.ParseFromString(frame.payload()));
    if (batch.run() == 3) {
      others += batch.idx_size();
      continue;
    }
    EXPECT_EQ(batch.request(), 1);
    ASSERT_EQ(batch.idx_size(), batch.t_ns_size());
    for (int i = 0; i < batch.idx_size(); ++i) {
      EXPECT_EQ(batch.idx(i), ++idx);
      EXPECT_EQ(batch.id(i), idx - 1);
    }
  }
  EXPECT_EQ(idx, 5000);
  EXPECT_EQ(others, 1);
}

TEST_F(SpoolRecorderTest, FinalListsEveryStreamThatWasStartedAndComesLast) {
  SpoolRecorder recorder(spool_.get(), 1, 0, kNever);
  recorder.Record(NoteEvent("n"));
  recorder.Flush();
  recorder.Record(NoteEvent("n"));
  v1::TraceChunk chunk;
  chunk.set_channel("estimated");
  recorder.Record(v1::STREAM_POWER, chunk);
  v1::Final final_word;
  final_word.set_outcome(v1::OUTCOME_SUCCEEDED);
  final_word.set_reason("bad \xFF byte");
  ASSERT_TRUE(recorder.Finish(final_word).ok());
  recorder.Record(NoteEvent("late"));
  recorder.Flush();
  const auto frames = Frames();
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(frames.back().stream(), v1::STREAM_FINAL);
  v1::Final stored;
  ASSERT_TRUE(stored.ParseFromString(frames.back().payload()));
  std::map<int, std::int64_t> last;
  for (const v1::StreamCursor& cursor : stored.last()) {
    EXPECT_EQ(cursor.fence(), 1);
    last[cursor.stream()] = cursor.last_seq();
  }
  EXPECT_EQ(last, (std::map<int, std::int64_t>{{v1::STREAM_EVENT, 2}, {v1::STREAM_POWER, 1}}));
  EXPECT_EQ(stored.reason(), "bad \\xff byte");
}

TEST_F(SpoolRecorderTest, ManyThreadsKeepEveryStreamContiguous) {
  SpoolRecorder recorder(spool_.get(), 1, 0, std::chrono::milliseconds(1));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        recorder.Record(NoteEvent("n"));
        recorder.Log("agent", "l");
        if (i % 50 == 0) recorder.Flush();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(recorder.Finish({}).ok());
  int events = 0;
  for (const v1::Frame& frame : Frames()) {
    if (frame.stream() != v1::STREAM_EVENT) continue;
    v1::EventBatch batch;
    ASSERT_TRUE(batch.ParseFromString(frame.payload()));
    events += batch.events_size();
  }
  EXPECT_EQ(events, 2000);
}

}  // namespace
}  // namespace joulefarm::agent
