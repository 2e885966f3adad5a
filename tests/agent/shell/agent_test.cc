// Agents in this process against a fake controller over real gRPC.
#include "agent/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

#include "agent/process/stop_fd.h"
#include "common/sha256/sha256.h"
#include "tests/agent/rpc/fake_controller.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using testing::HasSubstr;

class ScriptedWorkload : public Workload {
 public:
  using Script = std::function<WorkloadOutcome(WorkloadContext&)>;
  explicit ScriptedWorkload(Script script) : script_(std::move(script)) {}
  WorkloadOutcome Run(WorkloadContext& context) override { return script_(context); }

 private:
  const Script script_;
};

class AgentTest : public testing::Test {
 protected:
  AgentOptions Options(const std::string& controller) {
    AgentOptions options;
    options.controller = controller;
    options.id = "a";
    options.state_dir = dir_.path() / "state";
    options.version = "test";
    options.engine_dirs = {dir_.path()};
    options.make_workload =
        [this](const v1::JobSpec&) -> absl::StatusOr<std::unique_ptr<Workload>> {
      ++started_;
      return std::make_unique<ScriptedWorkload>(script_);
    };
    return options;
  }
  std::unique_ptr<Agent> StartAgent(const std::string& controller) {
    absl::StatusOr<std::unique_ptr<Agent>> agent = Agent::Create(Options(controller));
    if (!agent.ok()) {
      ADD_FAILURE() << agent.status();
      return nullptr;
    }
    (*agent)->Start();
    return *std::move(agent);
  }
  static WorkloadOutcome Succeed(WorkloadContext& context) {
    context.on_state(v1::ATTEMPT_STATE_RUNNING, "run 1 of 1");
    context.recorder->Log("agent", "hello");
    WorkloadOutcome outcome;
    outcome.outcome = v1::OUTCOME_SUCCEEDED;
    return outcome;
  }
  static WorkloadOutcome UntilStopped(WorkloadContext& context) {
    context.on_state(v1::ATTEMPT_STATE_RUNNING, "run 1 of 1");
    StopFd(context.stop).WaitFor(-1, 0, std::nullopt);
    WorkloadOutcome outcome;
    outcome.outcome = v1::OUTCOME_CANCELED;
    return outcome;
  }
  static bool IsReply(const v1::AgentMessage& message) { return message.has_grant_reply(); }

  TempDir dir_;
  ScriptedWorkload::Script script_ = Succeed;
  std::atomic<int> started_ = 0;
  v1::JobSpec spec_ = [] {
    v1::JobSpec spec;
    spec.set_power(v1::POWER_REQUIRE_NONE);
    spec.set_on_disconnect(v1::ON_DISCONNECT_CONTINUE);
    return spec;
  }();
};

TEST_F(AgentTest, AnnouncesItselfAndRunsAGrantToItsEnd) {
  FakeController controller;
  const auto agent = StartAgent(controller.address());
  const v1::Hello hello = controller.Greet();
  EXPECT_EQ(hello.agent_id(), "a");
  ASSERT_EQ(hello.devices_size(), 1);
  EXPECT_EQ(hello.devices(0).device_id(), "a");
  EXPECT_EQ(hello.devices(0).facts().os(), "linux");
  EXPECT_TRUE(hello.devices(0).clean());
  const std::string model(100'000, 'm');
  controller.AddArtifact(Sha256Hex(model), model);
  spec_.mutable_model()->set_sha256(Sha256Hex(model));
  spec_.mutable_model()->set_size_bytes(static_cast<std::int64_t>(model.size()));
  controller.SendGrant(1, "a", spec_);
  EXPECT_TRUE(controller.Next(IsReply).grant_reply().accepted());
  controller.AwaitState(1, v1::ATTEMPT_STATE_UPLOADING);
  const v1::Final final_word = controller.AwaitFinal(1);
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_SUCCEEDED);
  EXPECT_TRUE(final_word.clean());
  controller.SendGrant(2, "a", spec_);
  controller.AwaitFinal(2);
  EXPECT_EQ(controller.fetches(), 1) << "the model was kept";
}

TEST_F(AgentTest, SaysWhatCanMeasureAndWhatStandsInTheWay) {
  const std::filesystem::path root = dir_.path() / "host";
  const auto write = [&](const std::string& file, const std::string& text) {
    std::filesystem::create_directories((root / file).parent_path());
    std::ofstream(root / file) << text << "\n";
  };
  for (const char* status : {"Discharging", "Charging"}) {
    write("sys/class/power_supply/BAT0/type", "Battery");
    write("sys/class/power_supply/BAT0/power_now", "5000000");
    write("sys/class/power_supply/BAT0/status", status);
    FakeController controller;
    AgentOptions options = Options(controller.address());
    options.root = root;
    auto agent = Agent::Create(std::move(options));
    ASSERT_TRUE(agent.ok()) << agent.status();
    (*agent)->Start();
    const v1::DeviceFacts facts = controller.Greet().devices(0).facts();
    ASSERT_EQ(facts.power_channels_size(), 2);
    const bool feeds = status == std::string("Discharging");
    EXPECT_EQ(facts.power_channels(0).name(), feeds ? "BAT0" : "estimated");
    EXPECT_TRUE(facts.power_channels(0).primary());
    EXPECT_FALSE(facts.power_channels(1).primary());
    ASSERT_EQ(facts.obstacles_size(), feeds ? 0 : 1);
    if (!feeds) {
      EXPECT_THAT(facts.obstacles(0), HasSubstr("unplug the charger"));
    }
  }
}

TEST_F(AgentTest, GrantSentTwiceRunsOnce) {
  FakeController controller;
  const auto agent = StartAgent(controller.address());
  controller.Greet();
  controller.SendGrant(1, "a", spec_);
  controller.SendGrant(1, "a", spec_);
  controller.AwaitFinal(1);
  controller.SendGrant(1, "a", spec_);
  controller.SendGrant(2, "a", spec_);
  controller.AwaitFinal(2);
  EXPECT_EQ(started_, 2);
}

TEST_F(AgentTest, CancelEndsARun) {
  FakeController controller;
  script_ = UntilStopped;
  const auto agent = StartAgent(controller.address());
  controller.Greet();
  controller.SendGrant(1, "a", spec_);
  controller.AwaitState(1, v1::ATTEMPT_STATE_RUNNING);
  controller.SendCancel(1, "operator");
  const v1::Final final_word = controller.AwaitFinal(1);
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_CANCELED);
  EXPECT_EQ(final_word.reason(), "operator");
}

TEST_F(AgentTest, RunGoesOnWhileTheControllerIsAwayAndArrivesOnce) {
  FakeController controller;
  std::atomic<bool> finish = false;
  script_ = [&](WorkloadContext& context) {
    context.on_state(v1::ATTEMPT_STATE_RUNNING, "run 1 of 1");
    for (int i = 0; i < 200; ++i) context.recorder->Log("agent", std::string(1000, 'x'));
    finish.wait(false);
    for (int i = 0; i < 200; ++i) context.recorder->Log("agent", std::string(1000, 'y'));
    WorkloadOutcome outcome;
    outcome.outcome = v1::OUTCOME_SUCCEEDED;
    return outcome;
  };
  const auto agent = StartAgent(controller.address());
  controller.Greet();
  controller.SendGrant(1, "a", spec_);
  controller.AwaitState(1, v1::ATTEMPT_STATE_RUNNING);
  controller.AwaitFrames(1, v1::STREAM_LOG, 1);
  controller.Drop(grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone"));
  finish = true;
  finish.notify_all();
  const v1::Hello hello = controller.Greet();
  ASSERT_EQ(hello.held_size(), 1);
  EXPECT_EQ(hello.held(0).fence(), 1);
  EXPECT_EQ(hello.highest_fence(), 1);
  EXPECT_EQ(controller.AwaitFinal(1).outcome(), v1::OUTCOME_SUCCEEDED);
  int lines = 0;
  for (const v1::Frame& frame : controller.Frames(1, v1::STREAM_LOG)) {
    v1::LogBatch batch;
    ASSERT_TRUE(batch.ParseFromString(frame.payload()));
    lines += batch.lines_size();
  }
  EXPECT_EQ(lines, 400);
  EXPECT_EQ(started_, 1);
}

TEST_F(AgentTest, ShutdownInterruptsUploadsAndLeavesWithZero) {
  FakeController controller;
  script_ = UntilStopped;
  const auto agent = StartAgent(controller.address());
  controller.Greet();
  controller.SendGrant(1, "a", spec_);
  controller.AwaitState(1, v1::ATTEMPT_STATE_RUNNING);
  agent->RequestStop();
  EXPECT_EQ(agent->Wait(), 0);
  const v1::Final final_word = controller.AwaitFinal(1);
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_INTERRUPTED);
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_INFRA);
}

TEST_F(AgentTest, SupersededAgentLeavesWithAnError) {
  FakeController controller;
  const auto agent = StartAgent(controller.address());
  controller.Greet();
  controller.Drop(grpc::Status(grpc::StatusCode::ABORTED, "a newer session"));
  EXPECT_NE(agent->Wait(), 0);
}

TEST_F(AgentTest, StaysUpWithoutAControllerAndStopsWhenAsked) {
  int port = 0;
  {
    const FakeController gone;
    port = gone.port();
  }
  const auto agent = StartAgent(absl::StrCat("127.0.0.1:", port));
  FakeController controller(port);
  controller.Greet();
  agent->RequestStop();
  EXPECT_EQ(agent->Wait(), 0);
}

TEST_F(AgentTest, StateInUseAndPlaintextAreRefusedWithAReason) {
  FakeController controller;
  const auto agent = StartAgent(controller.address());
  const auto second = Agent::Create(Options(controller.address()));
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("state"));
  AgentOptions far = Options("192.0.2.1:7070");
  far.state_dir = dir_.path() / "other";
  const auto plain = Agent::Create(far);
  ASSERT_FALSE(plain.ok());
  EXPECT_THAT(std::string(plain.status().message()), HasSubstr("plaintext"));
}

TEST_F(AgentTest, VerdictAbortStopsAndFreesTheDevice) {
  FakeController controller;
  script_ = UntilStopped;
  const auto agent = StartAgent(controller.address());
  controller.Greet();
  controller.SendGrant(1, "a", spec_);
  controller.AwaitState(1, v1::ATTEMPT_STATE_RUNNING);
  controller.Drop(grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone"));
  const v1::Hello hello = controller.Greet(v1::VERDICT_KIND_ABORT);
  ASSERT_EQ(hello.held_size(), 1);
  EXPECT_EQ(hello.held(0).state(), v1::ATTEMPT_STATE_RUNNING);
  EXPECT_FALSE(hello.devices(0).clean());
  EXPECT_TRUE(
      controller.Next([](const auto& m) { return m.has_device_report(); }).device_report().clean());
  script_ = Succeed;
  controller.SendGrant(2, "a", spec_);
  controller.AwaitFinal(2);
  EXPECT_TRUE(controller.Frames(1, v1::STREAM_FINAL).empty());
}

}  // namespace
}  // namespace joulefarm::agent
