// A run whose meter is a program that prints, as tegrastats does: it runs while it is read, and
// nothing is left of it, whatever ends the agent.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/farm.h"

namespace joulefarm::e2e {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ProgramMeterTest : public FarmTest {
 protected:
  void SetUp() override {
    // With a child that outlives it, which only the agent's journal knows of after a crash.
    WriteFile(dir() / "rails",
              absl::StrCat("sleep 1000 &\necho $! >> ", children().string(),
                           "\nwhile :; do\necho 'RAM 1/2MB VDD_IN 3913mW/1mW VDD_CPU_GPU_CV "
                           "500mW/1mW VDD_SOC 300mW/1mW'\nsleep 0.1\ndone\n"));
    WriteFile(dir() / "agent.yaml",
              absl::StrCat("meters: [{model: tegrastats, rate_hz: 10, command: [sh, ",
                           (dir() / "rails").string(), "]}]\n"));
    StartController();
    StartAgentAndWait("a", {}, AgentArgs());
  }
  Args AgentArgs() const { return {"--config", (dir() / "agent.yaml").string()}; }
  std::filesystem::path children() const { return dir() / "children"; }
  // Of the programs' children, one number a line.
  static bool AnyLives(const std::string& numbers) {
    const std::vector<std::string> pids = absl::StrSplit(numbers, '\n', absl::SkipEmpty());
    return std::any_of(pids.begin(), pids.end(), [](const std::string& pid) {
      const std::filesystem::path line = absl::StrCat("/proc/", pid, "/cmdline");
      // One that is dead and not buried has none.
      return std::filesystem::exists(line) && !ReadFile(line).empty();
    });
  }
  bool ChildLives() const { return AnyLives(ReadFile(children())); }
  void Go() { WriteFile(dir() / "go", ""); }
  // One run, which says that it is there and waits until it may go.
  std::string Experiment() const {
    return absl::StrCat(
        "name: rails\nworkloads:\n  work:\n    kind: command\n    command:\n      - sh\n      - "
        "-c\n"
        "      - |\n        touch ",
        (dir() / "runs").string(), "\n        until [ -e ", (dir() / "go").string(),
        " ]; do sleep 0.02; done\n        sleep 1\nrepetitions: 1\nwarmup: 0\n"
        "power: {require: required}\nplan: {settle: 0s, idle: 0s, pause: 0s, tail: 0s}\n");
  }
  void SubmitAndAwaitRun() {
    const Ended submitted = Submit(Experiment(), {"-o", "name"});
    ASSERT_EQ(submitted.code, 0) << submitted.err;
    ASSERT_TRUE(Eventually([this] { return std::filesystem::exists(dir() / "runs"); }));
    ASSERT_TRUE(ChildLives());
  }
};

TEST_F(ProgramMeterTest, TheRunIsMeasuredByItAndItEndsWithTheRun) {
  Go();
  const Ended ended = Submit(Experiment(), {"--wait"});
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  EXPECT_THAT(Sql("select provenance, energy_channel from result"),
              ElementsAre(ElementsAre("measured", "tegrastats")));
  EXPECT_THAT(Sql("select name, parent from channel where name like 'tegrastats%' order by name"),
              ElementsAre(ElementsAre("tegrastats", "NULL"),
                          ElementsAre("tegrastats.VDD_CPU_GPU_CV", "tegrastats"),
                          ElementsAre("tegrastats.VDD_SOC", "tegrastats")));
  EXPECT_FALSE(ChildLives());
}

TEST_F(ProgramMeterTest, AnAgentToldToStopLeavesNothing) {
  SubmitAndAwaitRun();
  agent("a").Signal(SIGTERM);
  EXPECT_EQ(agent("a").Wait(), std::optional<int>(0));
  EXPECT_FALSE(ChildLives());
}

TEST_F(ProgramMeterTest, AfterKill9TheNextAgentEndsWhatIsLeftAndTheJobIsMeasured) {
  SubmitAndAwaitRun();
  agent("a").Kill9();
  ASSERT_TRUE(ChildLives()) << "nothing was left, so this test shows nothing";
  const std::string left = ReadFile(children());
  std::filesystem::remove(children());
  Go();
  StartAgentAndWait("a", {}, AgentArgs());
  ASSERT_TRUE(Eventually([this] { return Value("select state from job") == "SUCCEEDED"; }));
  EXPECT_FALSE(AnyLives(left));
  EXPECT_FALSE(ChildLives());
  EXPECT_EQ(Value("select provenance from result"), "measured");
}

}  // namespace
}  // namespace joulefarm::e2e
