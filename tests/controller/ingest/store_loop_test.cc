#include "controller/ingest/store_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <mutex>

namespace joulefarm::controller {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

// A store whose commits can be held back and made to fail, and that writes down what it is asked.
class ScriptedStore : public Store {
 public:
  absl::Status Commit(const std::vector<Write>& writes) override {
    if (gate != nullptr) gate->wait();
    const std::lock_guard<std::mutex> lock(mutex);
    std::vector<std::string> texts;
    for (const Write& write : writes) texts.push_back(std::get<FarmEvent>(write).text);
    if (!failing.ok()) return failing;
    if (std::find(texts.begin(), texts.end(), "refused") != texts.end())
      return absl::InvalidArgumentError("constraint failed");
    commits.push_back(texts);
    calls.push_back("commit");
    return absl::OkStatus();
  }
  absl::StatusOr<IngestOutcome> Ingest(const std::vector<v1::Frame>& frames) override {
    const std::lock_guard<std::mutex> lock(mutex);
    calls.push_back("ingest");
    batches.push_back(frames.size());
    IngestOutcome outcome;
    for (const v1::Frame& frame : frames) {
      v1::StreamCursor& ack = *outcome.response.add_acks();
      ack.set_fence(frame.fence());
      ack.set_last_seq(frame.seq());
      if (frame.stream() == v1::STREAM_FINAL) outcome.finals.push_back({.fence = frame.fence()});
    }
    return outcome;
  }
  absl::StatusOr<std::vector<v1::StreamCursor>> Cursors(Fence) override {
    return std::vector<v1::StreamCursor>{};
  }
  absl::StatusOr<FarmSnapshot> Load() override {
    FarmSnapshot snapshot;
    snapshot.last_fence = 7;
    return snapshot;
  }
  absl::StatusOr<std::vector<Fence>> Unfinalised() override { return std::vector<Fence>{}; }
  absl::StatusOr<AttemptData> ReadAttempt(Fence) override { return absl::NotFoundError("none"); }
  absl::Status Checkpoint() override {
    checkpoint.set_value();
    return absl::OkStatus();
  }
  absl::StatusOr<Artifact> FindArtifact(const std::string&) override {
    return absl::NotFoundError("none");
  }
  absl::StatusOr<ArtifactUse> ReadArtifactUse() override { return ArtifactUse{}; }
  absl::Status ForgetArtifacts(const std::vector<std::string>&, std::int64_t) override {
    return absl::OkStatus();
  }

  std::promise<void> checkpoint;
  std::shared_future<void>* gate = nullptr;
  std::mutex mutex;
  absl::Status failing;                           // guarded by mutex
  std::vector<std::vector<std::string>> commits;  // guarded by mutex
  std::vector<std::string> calls;                 // guarded by mutex
  std::vector<std::size_t> batches;               // guarded by mutex
};

std::vector<Write> Note(const std::string& text) { return {FarmEvent{0, "farm", "x", text}}; }

v1::Frame MakeFrame(Fence fence, std::int64_t seq, v1::Stream stream = v1::STREAM_LOG) {
  v1::Frame frame;
  frame.set_fence(fence);
  frame.set_seq(seq);
  frame.set_stream(stream);
  frame.set_payload("x");
  return frame;
}

TEST(StoreLoop, WhatWaitsIsCommittedInOneGroupAndAnsweredInOrder) {
  ScriptedStore store;
  std::promise<void> open;
  std::shared_future<void> gate = open.get_future().share();
  store.gate = &gate;
  std::vector<int> order;
  {
    StoreLoop loop(store);
    std::promise<void> first;
    loop.Run([&](Store&) { first.set_value(); });
    first.get_future().wait();
    loop.Commit(Note("a"), [&](const absl::Status& s) { order.push_back(s.ok() ? 1 : -1); });
    // The thread may hold "a" at the gate already, or not: what follows is one group either way.
    loop.Commit(Note("b"), [&](const absl::Status& s) { order.push_back(s.ok() ? 2 : -2); });
    loop.Commit({}, [&](const absl::Status& s) { order.push_back(s.ok() ? 3 : -3); });
    loop.Commit(Note("c"), [&](const absl::Status& s) { order.push_back(s.ok() ? 4 : -4); });
    open.set_value();
  }
  EXPECT_THAT(order, ElementsAre(1, 2, 3, 4));
  std::vector<std::string> all;
  for (const auto& commit : store.commits) all.insert(all.end(), commit.begin(), commit.end());
  EXPECT_THAT(all, ElementsAre("a", "b", "c"));
  EXPECT_LE(store.commits.size(), 2u);
}

TEST(StoreLoop, TheFirstToHearOfARefusedRowIsTheOneWhoseItIs) {
  ScriptedStore store;
  std::promise<void> open;
  std::shared_future<void> gate = open.get_future().share();
  store.gate = &gate;
  std::vector<std::string> failed;
  {
    StoreLoop loop(store);
    for (const std::string text : {"a", "b", "refused", "c", "d"}) {
      loop.Commit(Note(text), [&failed, text](const absl::Status& status) {
        if (!status.ok()) failed.push_back(text);
      });
    }
    open.set_value();
  }
  EXPECT_THAT(failed, ElementsAre("refused", "c", "d"));
  std::vector<std::string> written;
  for (const auto& commit : store.commits)
    written.insert(written.end(), commit.begin(), commit.end());
  EXPECT_THAT(written, ElementsAre("a", "b"));
}

TEST(StoreLoop, AfterAFailureNothingIsWrittenUntilReload) {
  ScriptedStore store;
  store.failing = absl::ResourceExhaustedError("disk full");
  StoreLoop loop(store);
  const auto commit = [&](const std::string& text) {
    std::promise<absl::Status> done;
    loop.Commit(Note(text), [&](absl::Status s) { done.set_value(std::move(s)); });
    return done.get_future().get();
  };
  EXPECT_TRUE(absl::IsResourceExhausted(commit("a")));
  {
    const std::lock_guard<std::mutex> lock(store.mutex);
    store.failing = absl::OkStatus();
  }
  // The disk is fine again, but "b" was planned from memory that "a" is part of.
  EXPECT_TRUE(absl::IsResourceExhausted(commit("b")));
  std::promise<absl::Status> ingested;
  loop.Ingest({MakeFrame(1, 1)},
              [&](absl::StatusOr<IngestOutcome> o) { ingested.set_value(o.status()); });
  EXPECT_FALSE(ingested.get_future().get().ok());
  std::promise<absl::StatusOr<FarmSnapshot>> loaded;
  loop.Reload(FarmEvent{0, "farm", "x", "back"},
              [&](absl::StatusOr<FarmSnapshot> s) { loaded.set_value(std::move(s)); });
  EXPECT_EQ(loaded.get_future().get()->last_fence, 7);
  EXPECT_TRUE(commit("c").ok());
  ASSERT_THAT(store.commits, SizeIs(2));
  EXPECT_THAT(store.commits[0], ElementsAre("back"));
  EXPECT_THAT(store.commits[1], ElementsAre("c"));
}

TEST(StoreLoop, ControlGoesBeforeBulkAndEachUploadGetsItsOwnAnswer) {
  ScriptedStore store;
  std::promise<void> open;
  std::vector<std::int64_t> one, two;
  std::vector<SourceFinal> finals;
  {
    StoreLoop loop(store);
    std::promise<void> busy;
    loop.Run([&](Store&) {
      busy.set_value();
      open.get_future().wait();
    });
    busy.get_future().wait();
    loop.Ingest({MakeFrame(1, 1), MakeFrame(1, 2)}, [&](absl::StatusOr<IngestOutcome> o) {
      for (const auto& ack : o->response.acks()) one.push_back(ack.last_seq());
    });
    loop.Ingest({MakeFrame(2, 9, v1::STREAM_FINAL)}, [&](absl::StatusOr<IngestOutcome> o) {
      for (const auto& ack : o->response.acks()) two.push_back(ack.last_seq());
      finals = o->finals;
    });
    loop.Commit(Note("late but first"), [](const absl::Status&) {});
    open.set_value();
  }
  EXPECT_THAT(store.calls, ElementsAre("commit", "ingest"));
  EXPECT_THAT(store.batches, ElementsAre(3));
  EXPECT_THAT(one, ElementsAre(1, 2));
  EXPECT_THAT(two, ElementsAre(9));
  EXPECT_THAT(finals, ElementsAre(SourceFinal{.fence = 2}));
}

TEST(StoreLoop, WhenNothingIsToBeWrittenTheLogIsMovedIntoPlace) {
  ScriptedStore store;
  StoreLoop loop(store);
  loop.Commit(Note("a"), [](const absl::Status&) {});
  EXPECT_EQ(store.checkpoint.get_future().wait_for(std::chrono::seconds(60)),
            std::future_status::ready);
}

TEST(StoreLoop, ABulkCommitIsBounded) {
  ScriptedStore store;
  std::promise<void> open;
  {
    StoreLoop loop(store);
    std::promise<void> busy;
    loop.Run([&](Store&) {
      busy.set_value();
      open.get_future().wait();
    });
    busy.get_future().wait();
    for (int i = 0; i < 10; ++i) {
      v1::Frame frame = MakeFrame(1, i + 1);
      frame.set_payload(std::string(64 * 1024, 'x'));
      loop.Ingest({frame}, [](const absl::StatusOr<IngestOutcome>&) {});
    }
    open.set_value();
  }
  EXPECT_THAT(store.batches, ElementsAre(4, 4, 2));
}

}  // namespace
}  // namespace joulefarm::controller
