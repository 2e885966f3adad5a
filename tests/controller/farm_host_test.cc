// The farm at work on a real store that refuses what a test says.
#include "controller/farm_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>

#include <condition_variable>
#include <future>

#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

using testing::HasSubstr;

constexpr auto kPatience = std::chrono::seconds(60);

// Results with runs are refused as told; everything else goes through.
class RefusingStore : public Store {
 public:
  explicit RefusingStore(Store& store) : store_(store) {}

  absl::Status Commit(const std::vector<Write>& writes) override {
    for (const Write& write : writes) {
      const auto* results = std::get_if<AttemptResults>(&write);
      if (results == nullptr || results->runs.empty() || refusals_ == 0) continue;
      --refusals_;
      return refusal_;
    }
    return store_.Commit(writes);
  }
  absl::StatusOr<IngestOutcome> Ingest(const std::vector<v1::Frame>& frames) override {
    return store_.Ingest(frames);
  }
  absl::StatusOr<std::vector<v1::StreamCursor>> Cursors(Fence fence) override {
    return store_.Cursors(fence);
  }
  absl::StatusOr<FarmSnapshot> Load() override { return store_.Load(); }
  absl::StatusOr<std::vector<Fence>> Unfinalised() override { return store_.Unfinalised(); }
  absl::StatusOr<AttemptData> ReadAttempt(Fence fence) override {
    return store_.ReadAttempt(fence);
  }
  absl::Status Checkpoint() override { return store_.Checkpoint(); }
  absl::StatusOr<Artifact> FindArtifact(const std::string& name) override {
    return store_.FindArtifact(name);
  }
  absl::StatusOr<ArtifactUse> ReadArtifactUse() override { return store_.ReadArtifactUse(); }
  absl::Status ForgetArtifacts(const std::vector<std::string>& sha256s,
                               std::int64_t now_wall_ns) override {
    return store_.ForgetArtifacts(sha256s, now_wall_ns);
  }

  // Before the farm starts.
  void Refuse(absl::Status refusal, int times) {
    refusal_ = std::move(refusal);
    refusals_ = times;
  }

 private:
  Store& store_;
  absl::Status refusal_;
  int refusals_ = 0;  // store thread
};

// Takes grants; forgets the rest.
class Gateway : public AgentGateway {
 public:
  void Send(SessionId, v1::ControllerMessage message) override {
    if (!message.has_grant()) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    fence_ = message.grant().fence();
    changed_.notify_all();
  }
  void Close(SessionId, const absl::Status&) override {}
  void Opened(SessionId, const std::string&, std::int64_t) override {}
  void GoesOn(SessionId, const std::string&, Fence) override {}
  void CloseAll(const absl::Status&) override {}

  Fence WaitForGrant() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, kPatience, [this] { return fence_ != 0; });
    return fence_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Fence fence_ = 0;
};

Instant Now() {
  timespec boot{};
  timespec wall{};
  ::clock_gettime(CLOCK_BOOTTIME, &boot);
  ::clock_gettime(CLOCK_REALTIME, &wall);
  return {boot.tv_sec * 1'000'000'000 + boot.tv_nsec, wall.tv_sec * 1'000'000'000 + wall.tv_nsec};
}

class FarmHostTest : public testing::Test {
 protected:
  FarmHostTest() : sqlite_(OpenStore(directory_.File("farm.db"))), store_(*sqlite_) {}

  // One job runs and delivers a run and a success.
  void RunOneJob() {
    ASSERT_TRUE(host_.Start(gateway_).ok());
    const SessionId session = host_.NewSession();
    v1::Hello hello;
    hello.set_agent_id("a");
    hello.add_devices()->set_device_id("a");
    hello.mutable_devices(0)->set_clean(true);
    host_.OnHello(session, hello);
    ASSERT_TRUE(Eventually([&] { return Submit().ok(); }));
    const Fence fence = gateway_.WaitForGrant();
    ASSERT_NE(fence, 0);
    GrantReplied accepted{session, {}};
    accepted.reply.set_fence(fence);
    accepted.reply.set_accepted(true);
    host_.OnInput(accepted);
    v1::Event run;
    run.mutable_run()->set_run(0);
    run.mutable_run()->set_start_ns(1);
    run.mutable_run()->set_end_ns(2);
    v1::Final last = FinalOf({{v1::STREAM_EVENT, 1}});
    last.set_clean(true);
    std::promise<absl::Status> stored;
    host_.OnFrames({MakeFrame(fence, v1::STREAM_EVENT, 1, EventsOf({run})),
                    MakeFrame(fence, v1::STREAM_FINAL, 1, last)},
                   [&stored](absl::StatusOr<v1::UploadResponse> response) {
                     stored.set_value(response.status());
                   });
    ASSERT_TRUE(stored.get_future().get().ok());
  }

  ReplyToOperator Ask(std::function<FarmInput(RequestToken)> fill) {
    std::promise<ReplyToOperator> reply;
    host_.Ask(std::move(fill), [&reply](ReplyToOperator got) { reply.set_value(std::move(got)); });
    return reply.get_future().get();
  }

  absl::Status Submit() {
    SubmitRequested request;
    request.experiment.name = "study";
    CellToRun cell;
    cell.spec.set_cell("n=1");
    cell.spec.set_repetitions(1);
    cell.spec.mutable_command()->add_argv("true");
    request.cells.push_back(cell);
    request.block_orders = {{0}};
    request.retries = 0;
    request.lost_after_ns = 600'000'000'000;
    return Ask([&request](RequestToken token) {
             request.token = token;
             return FarmInput(request);
           })
        .status;
  }

  v1::GetProgressResponse Progress() {
    const ReplyToOperator reply = Ask([](RequestToken token) {
      return ProgressRequested{token, "study", ""};
    });
    const auto* progress = std::get_if<v1::GetProgressResponse>(&reply.response);
    return progress == nullptr ? v1::GetProgressResponse() : *progress;
  }

  // Asks again until it is so; the only clock is patience.
  static bool Eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < end) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  TempDir directory_;
  std::unique_ptr<SqliteStore> sqlite_;
  RefusingStore store_;
  Gateway gateway_;
  FarmHost host_{store_, FarmConfig{.instance = "test"}, Now};
};

TEST_F(FarmHostTest, ResultsTheSchemaRefusesEndTheAttemptInsteadOfTheFarm) {
  store_.Refuse(absl::InvalidArgumentError("CHECK constraint failed: n_gen"), 1'000'000);
  RunOneJob();
  ASSERT_TRUE(Eventually([this] { return Progress().done(); }));
  const v1::GetProgressResponse progress = Progress();
  EXPECT_EQ(progress.failed(), 1);
  ASSERT_EQ(progress.failures_size(), 1);
  EXPECT_THAT(progress.failures(0), HasSubstr("INFRA"));
  EXPECT_THAT(progress.failures(0),
              HasSubstr("its results cannot be stored: CHECK constraint failed: n_gen"));
  EXPECT_EQ(host_.ReadOnlyReason(), "");
  EXPECT_EQ(Query(directory_.File("farm.db"), "SELECT finalised, state FROM attempt"), "1|FAILED");
  // What the agent measured is there all the same.
  EXPECT_EQ(Query(directory_.File("farm.db"), "SELECT count(*) FROM run"), "1");
}

TEST_F(FarmHostTest, AFullDiskIsWaitedForAndCostsNoResult) {
  store_.Refuse(absl::ResourceExhaustedError("the disk is full"), 2);
  RunOneJob();
  ASSERT_TRUE(Eventually([this] { return Progress().done(); }));
  EXPECT_EQ(Progress().succeeded(), 1);
}

}  // namespace
}  // namespace joulefarm::controller
