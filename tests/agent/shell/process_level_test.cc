// joulefarm-agent as a process: killed in the middle of a run it leaves an orphan only until it is
// started again.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/agent/rpc/fake_controller.h"
#include "tests/agent/temp_dir.h"

extern char** environ;

namespace joulefarm::agent {
namespace {

using testing::HasSubstr;

class AgentProcess {
 public:
  explicit AgentProcess(std::vector<std::string> args, const std::filesystem::path& log) {
    args.insert(args.begin(), JOULEFARM_AGENT);
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    EXPECT_EQ(posix_spawn(&pid_, JOULEFARM_AGENT, &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~AgentProcess() {
    if (pid_ > 0) End(SIGKILL);
  }
  // The wait status.
  int End(int signal) {
    kill(pid_, signal);
    return Wait();
  }
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
};

std::string ReadFile(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

bool Alive(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(stat, line)) return false;
  const std::size_t end = line.rfind(')');
  return end != std::string::npos && line.size() > end + 2 && line[end + 2] != 'Z' &&
         line[end + 2] != 'X';
}

class ProcessLevelTest : public testing::Test {
 protected:
  std::vector<std::string> Args(const FakeController& controller) {
    return {"--controller", controller.address(),
            "--id",         "a",
            "--state",      (dir_.path() / "state").string()};
  }
  // A command that says its pid in a file, starts a child of its own and sleeps.
  v1::JobSpec Sleeper() {
    v1::JobSpec spec;
    spec.set_power(v1::POWER_REQUIRE_NONE);
    spec.set_repetitions(1);
    spec.set_on_disconnect(v1::ON_DISCONNECT_CONTINUE);
    for (const std::string& arg :
         {std::string("/bin/sh"), std::string("-c"),
          absl::StrCat("sleep 1000 & echo $! > ", (dir_.path() / "child").string(), "; echo $$ > ",
                       (dir_.path() / "leader").string(), "; wait")}) {
      spec.mutable_command()->add_argv(arg);
    }
    return spec;
  }
  pid_t PidIn(const char* name) {
    pid_t pid = 0;
    while (pid == 0) {
      std::ifstream(dir_.path() / name) >> pid;
      std::this_thread::yield();
    }
    return pid;
  }
  std::filesystem::path Log() { return dir_.path() / "log"; }

  TempDir dir_;
};

TEST_F(ProcessLevelTest, KilledAgentLeavesNoOrphanAfterItsNextStartAndReportsTheInterruption) {
  FakeController controller;
  pid_t leader = 0;
  pid_t child = 0;
  {
    AgentProcess agent(Args(controller), Log());
    controller.Greet();
    controller.SendGrant(1, "a", Sleeper());
    leader = PidIn("leader");
    child = PidIn("child");
    EXPECT_TRUE(Alive(child));
    agent.End(SIGKILL);
  }
  AgentProcess agent(Args(controller), Log());
  const v1::Hello hello = controller.Greet(v1::VERDICT_KIND_UPLOAD_ONLY);
  EXPECT_FALSE(Alive(leader)) << "killed before hello";
  EXPECT_FALSE(Alive(child)) << "killed before hello";
  // The first Hello of the old process may still be in the queue.
  v1::Hello second = hello;
  while (second.held_size() == 0) second = controller.Greet(v1::VERDICT_KIND_UPLOAD_ONLY);
  ASSERT_EQ(second.held_size(), 1);
  EXPECT_EQ(second.held(0).fence(), 1);
  EXPECT_EQ(second.held(0).state(), v1::ATTEMPT_STATE_INTERRUPTED);
  EXPECT_EQ(second.highest_fence(), 1);
  EXPECT_TRUE(second.devices(0).clean());
  const v1::Final final_word = controller.AwaitFinal(1);
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_INTERRUPTED);
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_INFRA);
  // Sent again it is answered and not executed: by the time the next one has ended it would have
  // begun.
  std::filesystem::remove(dir_.path() / "leader");
  v1::JobSpec quick = Sleeper();
  quick.mutable_command()->clear_argv();
  quick.mutable_command()->add_argv("true");
  controller.SendGrant(1, "a", Sleeper());
  controller.SendGrant(2, "a", quick);
  EXPECT_EQ(controller.AwaitFinal(2).outcome(), v1::OUTCOME_SUCCEEDED);
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "leader"));
  const int status = agent.End(SIGTERM);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << ReadFile(Log());
}

// A host whose processors have a governor, in a tree of files, and an agent that sets it.
class GovernedTest : public ProcessLevelTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(governor().parent_path());
    std::ofstream(governor()) << "schedutil\n";
    std::ofstream(dir_.path() / "agent.yaml") << "environment: {governor: performance}\n"
                                                 "power_path: supply\n"
                                                 "operator: {ambient_c: \"21\"}\n";
  }
  std::filesystem::path governor() const {
    return dir_.path() / "root/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
  }
  std::string Governor() const {
    std::string governor_now;
    std::ifstream(governor()) >> governor_now;
    return governor_now;
  }
  std::vector<std::string> GovernedArgs(const FakeController& controller) {
    std::vector<std::string> args = Args(controller);
    args.insert(args.end(), {"--config", (dir_.path() / "agent.yaml").string(), "--root",
                             (dir_.path() / "root").string()});
    return args;
  }
};

TEST_F(GovernedTest, KilledAgentsGovernorIsPutBackBeforeTheNextSaysHello) {
  FakeController controller;
  {
    AgentProcess agent(GovernedArgs(controller), Log());
    controller.Greet();
    EXPECT_EQ(Governor(), "schedutil") << "nothing is changed outside of attempts";
    controller.SendGrant(1, "a", Sleeper());
    PidIn("leader");
    EXPECT_EQ(Governor(), "performance");
    agent.End(SIGKILL);
  }
  EXPECT_EQ(Governor(), "performance") << "nobody was there to put it back";
  AgentProcess agent(GovernedArgs(controller), Log());
  // The first Hello of the old process may still be in the queue.
  v1::Hello hello = controller.Greet(v1::VERDICT_KIND_UPLOAD_ONLY);
  while (hello.held_size() == 0) hello = controller.Greet(v1::VERDICT_KIND_UPLOAD_ONLY);
  EXPECT_EQ(Governor(), "schedutil");
  EXPECT_TRUE(hello.devices(0).clean());
  EXPECT_THAT(ReadFile(Log()), HasSubstr("put back what an earlier run had changed"));
  EXPECT_EQ(agent.End(SIGTERM), 0);
}

TEST_F(GovernedTest, SigtermInARunPutsTheGovernorBack) {
  FakeController controller;
  AgentProcess agent(GovernedArgs(controller), Log());
  controller.Greet();
  controller.SendGrant(1, "a", Sleeper());
  PidIn("leader");
  EXPECT_EQ(Governor(), "performance");
  EXPECT_EQ(agent.End(SIGTERM), 0) << ReadFile(Log());
  EXPECT_EQ(Governor(), "schedutil");
}

TEST_F(ProcessLevelTest, SigtermInARunEndsTheEngineAndExitsZero) {
  FakeController controller;
  AgentProcess agent(Args(controller), Log());
  controller.Greet();
  controller.SendGrant(1, "a", Sleeper());
  const pid_t child = PidIn("child");
  const int status = agent.End(SIGTERM);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << ReadFile(Log());
  EXPECT_FALSE(Alive(child));
  EXPECT_EQ(controller.AwaitFinal(1).outcome(), v1::OUTCOME_INTERRUPTED);
}

TEST_F(ProcessLevelTest, SecondAgentOnTheSameStateSaysWhyItDoesNotStart) {
  FakeController controller;
  AgentProcess first(Args(controller), Log());
  controller.Greet();
  AgentProcess second(Args(controller), dir_.path() / "log2");
  const int status = second.Wait();
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_THAT(ReadFile(dir_.path() / "log2"), HasSubstr("cannot start"));
}

TEST_F(ProcessLevelTest, BadFlagsAndFilesAreUsageErrors) {
  std::ofstream(dir_.path() / "bad.yaml") << "contoller: 127.0.0.1:7070\n";
  AgentProcess bad_file({"--config", (dir_.path() / "bad.yaml").string()}, Log());
  EXPECT_EQ(WEXITSTATUS(bad_file.Wait()), 2);
  EXPECT_THAT(ReadFile(Log()), HasSubstr("bad.yaml:1:1"));
  EXPECT_THAT(ReadFile(Log()), HasSubstr("controller"));
  AgentProcess bad_flag({"--nonsense"}, Log());
  EXPECT_EQ(WEXITSTATUS(bad_flag.Wait()), 2);
}

}  // namespace
}  // namespace joulefarm::agent
