#include "agent/run/attempt_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <fstream>
#include <map>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "agent/process/stop_fd.h"
#include "common/sha256/sha256.h"
#include "tests/agent/spool/spool_fixture.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using testing::HasSubstr;

// Does what the test says on the attempt's thread.
class ScriptedWorkload : public Workload {
 public:
  using Script = std::function<WorkloadOutcome(WorkloadContext&)>;
  explicit ScriptedWorkload(Script script) : script_(std::move(script)) {}
  WorkloadOutcome Run(WorkloadContext& context) override { return script_(context); }

 private:
  const Script script_;
};

WorkloadOutcome Outcome(v1::Outcome outcome,
                        v1::FailureClass failure_class = v1::FAILURE_CLASS_UNSPECIFIED,
                        std::string reason = "") {
  return {outcome, failure_class, std::move(reason)};
}

WorkloadOutcome UntilStopped(WorkloadContext& context) {
  context.on_state(v1::ATTEMPT_STATE_RUNNING, "run 1 of 1");
  StopFd(context.stop).WaitFor(-1, 0, std::nullopt);
  return Outcome(v1::OUTCOME_CANCELED);
}

class OneArtifact : public ArtifactSource {
 public:
  absl::Status Fetch(const std::string&, std::int64_t offset,
                     const std::function<absl::Status(absl::string_view)>& sink,
                     std::stop_token) override {
    if (failures-- > 0) return absl::UnavailableError("the controller is away");
    if (!status.ok()) return status;
    return sink(absl::string_view(content).substr(static_cast<std::size_t>(offset)));
  }
  std::string content = "model bytes";
  int failures = 0;
  absl::Status status;
};

// Has one meter, which another process holds.
class HeldMeter : public MeterShelf {
 public:
  class Source : public PowerSource {
   public:
    Source() {
      v1::ChannelInfo& channel = channels_.emplace_back();
      channel.set_name("held");
      channel.set_quantity(v1::QUANTITY_POWER_W);
      channel.set_provenance(v1::PROVENANCE_MEASURED);
      channel.set_nominal_hz(100);
    }
    const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
    absl::Status Start() override { return absl::UnavailableError("another process holds it"); }
    absl::Status Poll(std::vector<PowerReading>&, std::int64_t&) override {
      return absl::OkStatus();
    }
    std::optional<MeterReport> Meter() const override { return MeterReport(); }

   private:
    std::vector<v1::ChannelInfo> channels_;
  };
  std::vector<v1::ResourceAnnouncement> Look() override { return {}; }
  absl::StatusOr<std::unique_ptr<PowerSource>> Open(const std::string&) override {
    return std::make_unique<Source>();
  }
};

class AttemptRunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    spool_ = OpenSpool(TestSpoolOptions(dir_.path()));
    cache_ = std::make_unique<ArtifactCache>(dir_.path() / "artifacts", &source_);
    environment_.spool = spool_.get();
    environment_.artifacts = cache_.get();
    environment_.run_dir = dir_.path() / "run";
    environment_.agent_version = "test";
    environment_.make_workload =
        [this](const v1::JobSpec&) -> absl::StatusOr<std::unique_ptr<Workload>> {
      return std::make_unique<ScriptedWorkload>(script_);
    };
    grant_ = MakeGrant(1);
    grant_.mutable_spec()->set_power(v1::POWER_REQUIRE_NONE);
    ASSERT_TRUE(spool_->PersistGrant(grant_).ok());
  }
  void WantModel() {
    v1::ModelRef* model = grant_.mutable_spec()->mutable_model();
    model->set_name("tiny");
    model->set_sha256(Sha256Hex(source_.content));
    model->set_size_bytes(static_cast<std::int64_t>(source_.content.size()));
  }
  void Start() {
    runner_ = std::make_unique<AttemptRunner>(
        grant_, environment_,
        RunCallbacks{.moved =
                         [this](Fence, v1::AttemptState state, const std::string&) {
                           const std::lock_guard lock(mutex_);
                           states_.push_back(state);
                           changed_.notify_all();
                         },
                     .ended =
                         [this](Fence, bool clean) {
                           const std::lock_guard lock(mutex_);
                           EXPECT_FALSE(ended_);
                           clean_ = clean;
                         },
                     .stored =
                         [this](Fence, absl::Status stored) {
                           const std::lock_guard lock(mutex_);
                           stored_ = std::move(stored);
                           ended_ = true;
                           changed_.notify_all();
                         }});
  }
  void AwaitState(v1::AttemptState state) {
    std::unique_lock lock(mutex_);
    changed_.wait(
        lock, [&] { return std::find(states_.begin(), states_.end(), state) != states_.end(); });
  }
  v1::Final AwaitEnd() {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ended_; });
    }
    EXPECT_TRUE(stored_.ok()) << stored_;
    v1::Final final_word;
    for (const StoredFrame& stored : ReadAll(*spool_)) {
      if (stored.frame.stream() == v1::STREAM_FINAL) {
        EXPECT_TRUE(final_word.ParseFromString(stored.frame.payload()));
      }
    }
    return final_word;
  }
  v1::Final Run() {
    Start();
    return AwaitEnd();
  }
  // The lines of log that were stored.
  std::string Logged() {
    std::string text;
    for (const StoredFrame& stored : ReadAll(*spool_)) {
      v1::LogBatch batch;
      if (stored.frame.stream() != v1::STREAM_LOG) continue;
      EXPECT_TRUE(batch.ParseFromString(stored.frame.payload()));
      for (const v1::LogLine& line : batch.lines()) absl::StrAppend(&text, line.text(), "\n");
    }
    return text;
  }

  TempDir dir_;
  OneArtifact source_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<ArtifactCache> cache_;
  RunEnvironment environment_;
  v1::Grant grant_;
  ScriptedWorkload::Script script_ = [](WorkloadContext&) {
    return Outcome(v1::OUTCOME_SUCCEEDED);
  };
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<v1::AttemptState> states_;
  bool ended_ = false;
  bool clean_ = false;
  absl::Status stored_;
  std::unique_ptr<AttemptRunner> runner_;
};

TEST_F(AttemptRunnerTest, SuccessHasClocksAtBothEndsAndAFinalThatListsItsStreams) {
  WantModel();
  script_ = [&](WorkloadContext& context) {
    EXPECT_TRUE(std::filesystem::is_directory(context.work_dir));
    EXPECT_TRUE(context.model_path.has_value());
    std::ifstream model(*context.model_path);
    std::string text;
    std::getline(model, text);
    EXPECT_EQ(text, source_.content);
    context.on_state(v1::ATTEMPT_STATE_RUNNING, "run 1 of 1");
    context.recorder->Log("engine", "hello");
    std::ofstream(context.work_dir / "litter") << "x";
    return Outcome(v1::OUTCOME_SUCCEEDED);
  };
  const v1::Final final_word = Run();
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_UNSPECIFIED);
  EXPECT_TRUE(final_word.clean());
  EXPECT_TRUE(clean_);
  EXPECT_LE(final_word.started_ns(), final_word.ended_ns());
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "run" / "1"));
  std::map<int, std::int64_t> last;
  for (const v1::StreamCursor& cursor : final_word.last())
    last[cursor.stream()] = cursor.last_seq();
  std::map<int, std::int64_t> seen;
  int clocks = 0;
  for (const StoredFrame& stored : ReadAll(*spool_)) {
    seen[stored.frame.stream()] = stored.frame.seq();
    if (stored.frame.stream() != v1::STREAM_EVENT) continue;
    v1::EventBatch batch;
    ASSERT_TRUE(batch.ParseFromString(stored.frame.payload()));
    for (const v1::Event& event : batch.events()) clocks += event.has_clock() ? 1 : 0;
  }
  seen.erase(v1::STREAM_FINAL);
  EXPECT_EQ(last, seen);
  EXPECT_EQ(clocks, 2);
}

TEST_F(AttemptRunnerTest, FailureOfTheWorkloadIsPassedOn) {
  script_ = [](WorkloadContext&) {
    return Outcome(v1::OUTCOME_FAILED, v1::FAILURE_CLASS_USER, "exit code 3");
  };
  const v1::Final final_word = Run();
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_FAILED);
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_USER);
  EXPECT_EQ(final_word.reason(), "exit code 3");
}

TEST_F(AttemptRunnerTest, CancelStopsItAndGivesTheReason) {
  script_ = UntilStopped;
  Start();
  AwaitState(v1::ATTEMPT_STATE_RUNNING);
  runner_->Stop({1, StopWhy::kCanceled, v1::FAILURE_CLASS_UNSPECIFIED, "operator"});
  runner_->Stop({1, StopWhy::kShutdown, v1::FAILURE_CLASS_INFRA, "too late to count"});
  const v1::Final final_word = AwaitEnd();
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_CANCELED);
  EXPECT_EQ(final_word.reason(), "operator");
}

TEST_F(AttemptRunnerTest, AbortedAttemptHasNoLastWord) {
  script_ = UntilStopped;
  Start();
  AwaitState(v1::ATTEMPT_STATE_RUNNING);
  runner_->Stop({1, StopWhy::kAborted, v1::FAILURE_CLASS_UNSPECIFIED, "given up"});
  AwaitEnd();
  for (const StoredFrame& stored : ReadAll(*spool_))
    EXPECT_NE(stored.frame.stream(), v1::STREAM_FINAL);
}

TEST_F(AttemptRunnerTest, StopBeforeTheBeginningEndsItWithoutRunning) {
  script_ = UntilStopped;
  Start();
  runner_->Stop({1, StopWhy::kCanceled, v1::FAILURE_CLASS_UNSPECIFIED, "operator"});
  EXPECT_EQ(AwaitEnd().outcome(), v1::OUTCOME_CANCELED);
}

TEST_F(AttemptRunnerTest, RunLimitTimesOut) {
  script_ = UntilStopped;
  grant_.mutable_spec()->mutable_limits()->set_run_ns(20'000'000);
  const v1::Final final_word = Run();
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_TIMED_OUT);
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_TIMEOUT);
  EXPECT_THAT(final_word.reason(), HasSubstr("limit run"));
}

TEST_F(AttemptRunnerTest, PrepareLimitEndsTheWaitForAControllerThatIsAway) {
  WantModel();
  source_.failures = 1'000'000;
  grant_.mutable_spec()->mutable_limits()->set_prepare_ns(20'000'000);
  const v1::Final final_word = Run();
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_TIMED_OUT);
  EXPECT_THAT(final_word.reason(), HasSubstr("limit prepare"));
  EXPECT_THAT(final_word.reason(), HasSubstr("the controller is away"));
}

TEST_F(AttemptRunnerTest, ModelIsAskedForAgainWhenTheControllerWasAway) {
  WantModel();
  source_.failures = 2;
  EXPECT_EQ(Run().outcome(), v1::OUTCOME_SUCCEEDED);
}

TEST_F(AttemptRunnerTest, MissingModelAndUnknownWorkloadAreInfra) {
  WantModel();
  source_.status = absl::NotFoundError("no such content");
  const v1::Final final_word = Run();
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_FAILED);
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_INFRA);
  EXPECT_THAT(final_word.reason(), HasSubstr("tiny"));
}

TEST_F(AttemptRunnerTest, WorkloadThatCannotBeMadeIsInfra) {
  environment_.make_workload = [](const v1::JobSpec&) -> absl::StatusOr<std::unique_ptr<Workload>> {
    return absl::InvalidArgumentError("no kind");
  };
  const v1::Final final_word = Run();
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_INFRA);
  EXPECT_THAT(final_word.reason(), HasSubstr("no kind"));
}

TEST_F(AttemptRunnerTest, RequiredPowerThatNothingMeasuresFailsBeforeAnythingIsFetched) {
  WantModel();
  grant_.mutable_spec()->set_power(v1::POWER_REQUIRE_REQUIRED);
  environment_.paths = HostPaths(dir_.path() / "a host without sensors");
  source_.status = absl::InternalError("the model was asked for");
  const v1::Final final_word = Run();
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_FAILED);
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_POLICY);
  EXPECT_THAT(final_word.reason(), HasSubstr("requires measured power"));
}

// The host the plan is about, as files.
class PlannedAttemptTest : public AttemptRunnerTest {
 protected:
  void SetUp() override {
    AttemptRunnerTest::SetUp();
    environment_.paths = HostPaths(dir_.path() / "root");
    environment_.journals.environment = dir_.path() / "environment";
    environment_.plan.poll_ns = 1'000'000;
    Write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    Write("sys/class/thermal/thermal_zone0/temp", "61000\n");
    Write(kGovernor, "schedutil\n");
  }
  void Write(const std::string& file, const std::string& text) {
    const std::filesystem::path path = environment_.paths.Under(file);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::string Governor() {
    std::string governor;
    std::ifstream(environment_.paths.Under(kGovernor)) >> governor;
    return governor;
  }
  static constexpr char kGovernor[] = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
};

TEST_F(PlannedAttemptTest, AGateThatIsNotMetInTimeIsARetryableTimeout) {
  grant_.mutable_spec()->mutable_gates()->set_max_temp_c(45);
  grant_.mutable_spec()->mutable_limits()->set_prepare_ns(50'000'000);
  const v1::Final final_word = Run();
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_TIMED_OUT);
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_THERMAL);
  EXPECT_THAT(final_word.reason(), HasSubstr("limit prepare"));
  EXPECT_THAT(final_word.reason(), HasSubstr("gate max_temp_c: cpu-thermal has 61.0 °C > 45 °C"));
  EXPECT_TRUE(final_word.clean());
}

TEST_F(PlannedAttemptTest, TheGovernorIsSetForTheWorkloadAndPutBackHoweverItEnds) {
  environment_.plan.environment.governor = "performance";
  for (const bool throws : {false, true}) {
    script_ = [&](WorkloadContext&) {
      EXPECT_EQ(Governor(), "performance");
      EXPECT_TRUE(std::filesystem::exists(environment_.journals.environment));
      if (throws) throw std::runtime_error("broken");
      return Outcome(v1::OUTCOME_FAILED, v1::FAILURE_CLASS_USER, "exit code 3");
    };
    ended_ = false;
    Run();
    runner_.reset();
    EXPECT_EQ(clean_, !throws);
    EXPECT_EQ(Governor(), "schedutil");
    EXPECT_FALSE(std::filesystem::exists(environment_.journals.environment));
    grant_.set_fence(2);
    ASSERT_TRUE(spool_->PersistGrant(grant_).ok() || throws);
  }
}

TEST_F(PlannedAttemptTest, AnEnvironmentThatCannotBeSetEndsItBeforeTheWorkload) {
  environment_.plan.environment.power_mode = 3;
  script_ = [](WorkloadContext&) {
    ADD_FAILURE() << "ran";
    return Outcome(v1::OUTCOME_SUCCEEDED);
  };
  const v1::Final final_word = Run();
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_FAILED);
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_INFRA);
  EXPECT_THAT(final_word.reason(), HasSubstr("cannot set power mode 3"));
}

class NotPutBackTest : public PlannedAttemptTest, public testing::WithParamInterface<bool> {};

TEST_P(NotPutBackTest, LeavesTheDeviceNotCleanAndIsLogged) {
  environment_.plan.environment.governor = "performance";
  script_ = [&](WorkloadContext&) {
    std::filesystem::remove_all(environment_.paths.Under("sys/devices"));
    if (GetParam()) throw std::runtime_error("broken");
    return Outcome(v1::OUTCOME_SUCCEEDED);
  };
  EXPECT_FALSE(Run().clean());
  EXPECT_FALSE(clean_);
  EXPECT_TRUE(std::filesystem::exists(environment_.journals.environment));
  EXPECT_THAT(Logged(), HasSubstr("not put back as it was"));
}

INSTANTIATE_TEST_SUITE_P(Throws, NotPutBackTest, testing::Bool());

TEST_F(PlannedAttemptTest, WhatTheWorkloadPreparesAfterSettlingIsSettling) {
  grant_.mutable_spec()->set_power(v1::POWER_REQUIRE_OPTIONAL);
  grant_.mutable_spec()->mutable_plan()->set_settle_ns(20'000'000);
  script_ = [](WorkloadContext& context) {
    context.on_state(v1::ATTEMPT_STATE_PREPARING, "loading the model");
    context.on_state(v1::ATTEMPT_STATE_RUNNING, "run 1 of 1");
    return Outcome(v1::OUTCOME_SUCCEEDED);
  };
  EXPECT_EQ(Run().outcome(), v1::OUTCOME_SUCCEEDED);
  ASSERT_GE(states_.size(), 3u);
  EXPECT_EQ(states_.front(), v1::ATTEMPT_STATE_PREPARING);
  EXPECT_EQ(states_[states_.size() - 2], v1::ATTEMPT_STATE_SETTLING);
  EXPECT_EQ(states_.back(), v1::ATTEMPT_STATE_RUNNING);
}

TEST_F(AttemptRunnerTest, ARequiredMeterThatDoesNotStartEndsTheAttempt) {
  HeldMeter meter;
  environment_.meters = &meter;
  v1::GrantedResource& granted = *grant_.add_resources();
  granted.set_resource_id("meter:test:1");
  granted.set_source(grant_.source());
  grant_.mutable_spec()->set_power(v1::POWER_REQUIRE_REQUIRED);
  bool ran = false;
  script_ = [&](WorkloadContext&) {
    ran = true;
    return Outcome(v1::OUTCOME_SUCCEEDED);
  };
  const v1::Final final_word = Run();
  EXPECT_FALSE(ran);
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_FAILED);
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_DEVICE);
  EXPECT_THAT(final_word.reason(), HasSubstr("another process holds it"));
  runner_.reset();
}

// The operator names the device's meter, which was not granted; something else could measure.
class MeterNotGrantedTest : public AttemptRunnerTest {
 protected:
  void SetUp() override {
    AttemptRunnerTest::SetUp();
    environment_.power.meter.device.serial = "ZZ";
    environment_.power.simulated.emplace();
    grant_.mutable_spec()->set_power(v1::POWER_REQUIRE_OPTIONAL);
  }
  // The channel that results are reported from.
  std::string Primary() {
    std::string primary;
    for (const StoredFrame& stored : ReadAll(*spool_)) {
      v1::EventBatch batch;
      if (stored.frame.stream() != v1::STREAM_EVENT) continue;
      EXPECT_TRUE(batch.ParseFromString(stored.frame.payload()));
      for (const v1::Event& event : batch.events()) {
        if (event.channel().primary()) primary = event.channel().name();
      }
    }
    return primary;
  }
};

TEST_F(MeterNotGrantedTest, OnlyTheEstimateIsLeft) {
  EXPECT_EQ(Run().outcome(), v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(Primary(), "estimated");
  EXPECT_THAT(Logged(), HasSubstr("the device's meter ZZ was not granted"));
}

TEST_F(MeterNotGrantedTest, ThatOfAnotherAgentIsNotStoodInForEither) {
  environment_.power.meter.device = {.agent = "lab-host", .serial = ""};
  EXPECT_EQ(Run().outcome(), v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(Primary(), "estimated");
  EXPECT_THAT(Logged(), HasSubstr("meter on agent lab-host was not granted"));
}

TEST_F(MeterNotGrantedTest, AChannelThatTheExperimentAsksForIsNoStandIn) {
  grant_.mutable_spec()->set_power_channel("simulated");
  EXPECT_EQ(Run().outcome(), v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(Primary(), "simulated");
}

TEST_F(MeterNotGrantedTest, WhereNoMeterIsNamedWhatIsHereMeasures) {
  environment_.power.meter.device = {};
  EXPECT_EQ(Run().outcome(), v1::OUTCOME_SUCCEEDED);
  EXPECT_THAT(Primary(), testing::AllOf(testing::Ne("estimated"), testing::Ne("")));
}

TEST_F(MeterNotGrantedTest, RequiredPowerIsRefusedWithTheReason) {
  grant_.mutable_spec()->set_power(v1::POWER_REQUIRE_REQUIRED);
  const v1::Final final_word = Run();
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_POLICY);
  EXPECT_THAT(final_word.reason(), HasSubstr("meter ZZ was not granted"));
}

TEST_F(AttemptRunnerTest, ExceptionIsAFailureNotACrash) {
  script_ = [](WorkloadContext&) -> WorkloadOutcome { throw std::runtime_error("boom"); };
  const v1::Final final_word = Run();
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_INFRA);
  EXPECT_THAT(final_word.reason(), HasSubstr("boom"));
  EXPECT_FALSE(final_word.clean()) << "an engine may be left";
  EXPECT_FALSE(clean_);
}

TEST_F(AttemptRunnerTest, EngineNeverReportedGoneLeavesTheDeviceDirty) {
  script_ = [](WorkloadContext& context) {
    context.on_engine(getpid());
    return Outcome(v1::OUTCOME_SUCCEEDED);
  };
  EXPECT_FALSE(Run().clean());
  EXPECT_FALSE(clean_);
}

TEST_F(AttemptRunnerTest, DestructionInterruptsAndStillWritesTheEnd) {
  script_ = UntilStopped;
  Start();
  AwaitState(v1::ATTEMPT_STATE_RUNNING);
  runner_.reset();
  const v1::Final final_word = AwaitEnd();
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_INTERRUPTED);
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_INFRA);
}

}  // namespace
}  // namespace joulefarm::agent
