#include "agent/run/helper_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>

#include "agent/process/boottime.h"
#include "common/trace/trace_codec.h"
#include "tests/agent/spool/spool_fixture.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kMeter[] = "meter:test:1";

// A reading per poll; ends when the test says so.
class Shelf : public MeterShelf {
 public:
  class Source : public PowerSource {
   public:
    explicit Source(Shelf& shelf) : shelf_(shelf) {
      for (const char* name : {"test.voltage", "test", "test.b"}) {
        v1::ChannelInfo& channel = channels_.emplace_back();
        channel.set_name(name);
        channel.set_quantity(channels_.size() == 1 ? v1::QUANTITY_VOLTAGE_V : v1::QUANTITY_POWER_W);
        channel.set_scale(1e-3);
        channel.set_nominal_hz(200);
      }
    }
    ~Source() override { shelf_.Closed(); }
    const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
    absl::Status Start() override { return shelf_.start; }
    absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t&) override {
      readings.push_back({.channel = 1, .t_ns = BoottimeNs(), .raw = 5000});
      shelf_.Polled();
      return absl::OkStatus();
    }

   private:
    Shelf& shelf_;
    std::vector<v1::ChannelInfo> channels_;
  };

  std::vector<v1::ResourceAnnouncement> Look() override { return {}; }
  absl::StatusOr<std::unique_ptr<PowerSource>> Open(const std::string& id) override {
    opened = id;
    if (!open.ok()) return open;
    return std::make_unique<Source>(*this);
  }
  void AwaitPolls(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return polls_ >= count; });
  }
  bool closed() {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

  absl::Status open;
  absl::Status start;
  std::string opened;

 private:
  void Polled() {
    const std::lock_guard lock(mutex_);
    ++polls_;
    changed_.notify_all();
  }
  void Closed() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  int polls_ = 0;
  bool closed_ = false;
};

class HelperRunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    spool_ = OpenSpool(TestSpoolOptions(dir_.path()));
    environment_.spool = spool_.get();
    environment_.meters = &shelf_;
    environment_.agent_id = "lab";
    grant_ = MakeGrant(1);
    grant_.set_source(2);
    v1::GrantedResource& meter = *grant_.add_resources();
    meter.set_resource_id(kMeter);
    meter.set_agent_id("lab");
    meter.set_source(2);
    // Somebody else's.
    v1::GrantedResource& other = *grant_.add_resources();
    other.set_resource_id("meter:test:other");
    other.set_source(1);
  }
  void Start() {
    ASSERT_TRUE(spool_->PersistGrant(grant_).ok());
    runner_ = std::make_unique<HelperRunner>(
        grant_, environment_,
        RunCallbacks{
            .moved = [this](Fence, v1::AttemptState state,
                            const std::string&) { EXPECT_EQ(state, v1::ATTEMPT_STATE_RUNNING); },
            .ended =
                [this](Fence, bool clean) {
                  EXPECT_TRUE(clean);
                  // Before its end can be known elsewhere, which may lease it anew.
                  closed_at_end_ = shelf_.closed();
                },
            .stored =
                [this](Fence, absl::Status stored) {
                  const std::lock_guard lock(mutex_);
                  stored_ = std::move(stored);
                  ended_ = true;
                  changed_.notify_all();
                }});
  }
  void AwaitEnd() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_; });
    EXPECT_TRUE(stored_.ok()) << stored_;
    for (const StoredFrame& stored : ReadAll(*spool_)) {
      EXPECT_EQ(stored.frame.source(), 2);
      v1::EventBatch events;
      v1::TraceBatch traces;
      switch (stored.frame.stream()) {
        case v1::STREAM_FINAL:
          EXPECT_TRUE(final_.emplace().ParseFromString(stored.frame.payload()));
          break;
        case v1::STREAM_EVENT:
          EXPECT_TRUE(events.ParseFromString(stored.frame.payload()));
          for (const v1::Event& event : events.events()) events_.push_back(event);
          break;
        case v1::STREAM_POWER:
          EXPECT_TRUE(traces.ParseFromString(stored.frame.payload()));
          for (const v1::TraceChunk& chunk : traces.chunks()) samples_ += chunk.n();
          break;
        default:
          break;
      }
    }
  }
  void Stop(StopWhy why) { runner_->Stop({1, why, v1::FAILURE_CLASS_UNSPECIFIED, "so"}); }
  // Name, with "*" for the primary one.
  std::vector<std::string> Channels() const {
    std::vector<std::string> names;
    for (const v1::Event& event : events_) {
      if (event.has_channel())
        names.push_back(event.channel().name() + (event.channel().primary() ? "*" : ""));
    }
    return names;
  }

  TempDir dir_;
  Shelf shelf_;
  std::unique_ptr<Spool> spool_;
  RunEnvironment environment_;
  v1::Grant grant_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  bool closed_at_end_ = false;
  absl::Status stored_;
  std::optional<v1::Final> final_;
  std::vector<v1::Event> events_;
  int samples_ = 0;
  std::unique_ptr<HelperRunner> runner_;
};

TEST_F(HelperRunnerTest, MeasuresUntilItIsReleased) {
  Start();
  shelf_.AwaitPolls(20);
  Stop(StopWhy::kReleased);
  AwaitEnd();
  EXPECT_EQ(shelf_.opened, kMeter);
  ASSERT_TRUE(final_.has_value());
  EXPECT_EQ(final_->outcome(), v1::OUTCOME_SUCCEEDED);
  EXPECT_GE(samples_, 20);
  EXPECT_THAT(Channels(), ElementsAre("test.voltage", "test*", "test.b"));
  EXPECT_TRUE(closed_at_end_);
  // Its clocks, at the beginning and at the end.
  EXPECT_TRUE(events_.front().has_clock());
  EXPECT_TRUE(events_.back().has_clock());
  EXPECT_LE(final_->started_ns(), events_.front().t_ns());
}

TEST_F(HelperRunnerTest, TheChannelThatWasAskedForIsTheResults) {
  grant_.mutable_resources(0)->set_channel("test.b");
  Start();
  shelf_.AwaitPolls(1);
  Stop(StopWhy::kReleased);
  AwaitEnd();
  EXPECT_THAT(Channels(), ElementsAre("test.voltage", "test", "test.b*"));
}

TEST_F(HelperRunnerTest, AMeterThatCannotBeOpenedFailsWithTheReason) {
  shelf_.open = absl::UnavailableError("no permission; install the udev rules");
  Start();
  AwaitEnd();
  EXPECT_EQ(final_->outcome(), v1::OUTCOME_FAILED);
  EXPECT_EQ(final_->failure_class(), v1::FAILURE_CLASS_INFRA);
  EXPECT_THAT(final_->reason(), HasSubstr("udev rules"));
  EXPECT_THAT(Channels(), IsEmpty());
}

TEST_F(HelperRunnerTest, AMeterThatDoesNotStartStaysFailedThoughItIsReleased) {
  shelf_.start = absl::DeadlineExceededError("no sample within 3 s");
  Start();
  Stop(StopWhy::kReleased);
  AwaitEnd();
  EXPECT_EQ(final_->outcome(), v1::OUTCOME_FAILED);
  EXPECT_THAT(final_->reason(), HasSubstr("no sample"));
}

TEST_F(HelperRunnerTest, WithoutAnyMeterItFails) {
  environment_.meters = nullptr;
  Start();
  AwaitEnd();
  EXPECT_EQ(final_->outcome(), v1::OUTCOME_FAILED);
}

TEST_F(HelperRunnerTest, AnAgentThatStopsLeavesAnInterruptedSource) {
  Start();
  shelf_.AwaitPolls(1);
  Stop(StopWhy::kShutdown);
  AwaitEnd();
  EXPECT_EQ(final_->outcome(), v1::OUTCOME_INTERRUPTED);
  EXPECT_EQ(final_->reason(), "so");
}

TEST_F(HelperRunnerTest, NobodyWantsTheEndOfWhatWasGivenUp) {
  Start();
  shelf_.AwaitPolls(1);
  Stop(StopWhy::kAborted);
  AwaitEnd();
  EXPECT_FALSE(final_.has_value());
}

// A controller that is never heard of again does not make it measure for ever.
TEST_F(HelperRunnerTest, TheLimitsOfTheDeviceAreItsOwn) {
  v1::LimitSpec& limits = *grant_.mutable_spec()->mutable_limits();
  limits.set_prepare_ns(20'000'000);
  limits.set_run_ns(30'000'000);
  Start();
  AwaitEnd();
  EXPECT_EQ(final_->outcome(), v1::OUTCOME_TIMED_OUT);
}

}  // namespace
}  // namespace joulefarm::agent
