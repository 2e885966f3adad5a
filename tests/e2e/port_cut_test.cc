// A job that cuts the USB port its device hangs on, with a switch and a meter that are real
// programs and not real hardware: whatever ends the run, or the agent, the port has power again.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/farm.h"
#include "tests/e2e/power_daemon.h"

namespace joulefarm::e2e {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kPoweredW = 5;
constexpr double kCutW = 3;

class PortCutTest : public FarmTest {
 protected:
  void SetUp() override {
    WriteFile(port(), "on\n");
    // Its own process changes the port, as a program does that is called by a script: nothing but
    // the journal of processes knows of that after a crash.
    WriteFile(dir() / "worker",
              absl::StrCat("[ \"$1\" = on ] && [ -e ", (dir() / "broken").string(),
                           " ] && { echo the plug does not answer; exit 1; }\n",
                           "while [ \"$1\" = off ] && [ -e ", (dir() / "hold").string(),
                           " ]; do sleep 0.02; done\necho \"$1\" > ", port().string(),
                           ".new && mv ", port().string(), ".new ", port().string(), "\n"));
    WriteFile(dir() / "plug", absl::StrCat("[ \"$1\" = status ] && exec cat ", port().string(),
                                           "\necho \"$1 $2\" >> ", history().string(), "\nsh ",
                                           (dir() / "worker").string(), " \"$1\"\nexit $?\n"));
  }

  std::filesystem::path port() const { return dir() / "port"; }
  // What the plug was told and what runs saw, in order.
  std::filesystem::path history() const { return dir() / "history"; }
  // What the agent has cut, as it keeps it for its successor.
  std::filesystem::path journal() const { return agent_state("a") / "port"; }
  std::vector<std::string> History() const {
    return absl::StrSplit(ReadFile(history()), '\n', absl::SkipEmpty());
  }
  // As History, what was tried several times counted once.
  std::vector<std::string> Turns() const {
    std::vector<std::string> turns = History();
    turns.erase(std::unique(turns.begin(), turns.end()), turns.end());
    return turns;
  }
  bool HasHappened(std::size_t count) const { return CountLines(history()) >= count; }
  bool PortIs(const std::string& state) const { return ReadFile(port()) == state + "\n"; }
  void Touch(const std::string& name) { WriteFile(dir() / name, ""); }
  void Go() { Touch("go"); }

  // Of a load that draws so much with the port cut.
  void PlugInMeter(double cut_w = kCutW) {
    meter_.emplace([this, cut_w] { return PortIs("off") ? cut_w : kPoweredW; });
  }
  Args AgentArgs() const {
    const std::string plug = absl::StrCat("sh, ", (dir() / "plug").string());
    WriteFile(
        dir() / "agent.yaml",
        absl::StrCat("switches:\n- {name: plug, kind: command, on: [", plug,
                     ", \"on\", \"{port}\"], off: [", plug, ", \"off\", \"{port}\"], status: [",
                     plug, ", status, \"{port}\"]}\nusb_port: plug:2\n",
                     meter_ ? absl::StrCat("meters: [{model: ptdaemon, node: \"", meter_->address(),
                                           "\"}]\n")
                            : ""));
    return {"--config", (dir() / "agent.yaml").string()};
  }
  void StartFarm() {
    StartController();
    StartAgentAndWait("a", {}, AgentArgs());
  }
  // One run, which says how it finds the port and waits until it may go; `more` is added.
  std::string Experiment(const std::string& last = "true", const std::string& more = "") const {
    return absl::StrCat(
        "name: cut\nworkloads:\n  work:\n    kind: command\n    command:\n      - sh\n      - -c\n"
        "      - |\n        echo \"run $(cat ",
        port().string(), ")\" >> ", history().string(), "\n        until [ -e ",
        (dir() / "go").string(), " ]; do sleep 0.02; done\n        ", last,
        "\nrepetitions: 1\nwarmup: 0\npower: {cut_usb: true}\n"
        "plan: {settle: 0s, idle: 0s, pause: 0s, tail: 0s}\n",
        more);
  }
  // Until the run is under way.
  void SubmitAndAwaitRun(const std::string& more = "") {
    const Ended submitted = Submit(Experiment("true", more), {"-o", "name"});
    ASSERT_EQ(submitted.code, 0) << submitted.err;
    ASSERT_TRUE(Eventually([this] { return HasHappened(2); }));
    ASSERT_THAT(History(), ElementsAre("off 2", "run off"));
    ASSERT_TRUE(PortIs("off"));
    ASSERT_TRUE(std::filesystem::exists(journal()));
  }
  // It is through with its start, and finds no controller.
  bool AgentIsAlone() {
    return Eventually([this] {
      return agent("a").err().find("cannot reach the controller") != std::string::npos;
    });
  }
  bool JobIs(const std::string& state) { return Value("select state from job") == state; }
  // Nothing is cut and nothing is left to be given back.
  void ExpectPowered() {
    EXPECT_TRUE(PortIs("on"));
    EXPECT_FALSE(std::filesystem::exists(journal()));
  }
  void ExpectOneCut() {
    EXPECT_THAT(History(), ElementsAre("off 2", "run off", "on 2"));
    ExpectPowered();
  }
  // After a crash the attempt that was under way is made again, from the beginning.
  void ExpectCutAgainAfterACrash() {
    EXPECT_THAT(History(), ElementsAre("off 2", "run off", "on 2", "off 2", "run off", "on 2"));
    EXPECT_THAT(Sql("select attempts from job"), ElementsAre(ElementsAre("2")));
    ExpectPowered();
  }

  std::optional<PowerDaemon> meter_;
};

TEST_F(PortCutTest, ThePortIsOffWhileTheRunMeasuresAndTheMeterShowsIt) {
  PlugInMeter();
  StartFarm();
  Go();
  const Ended ended = Submit(Experiment(), {"--wait"});
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  ExpectOneCut();
  EXPECT_THAT(Sql("select resource_id, switched_on, verified from port_switch order by t_ns"),
              ElementsAre(ElementsAre("port:command:a:plug:2", "0", "seen"),
                          ElementsAre("port:command:a:plug:2", "1", "seen")));
  EXPECT_THAT(Sql("select id, kind, agent_id, link, alloc from resource where kind = 'PORT'"),
              ElementsAre(ElementsAre("port:command:a:plug:2", "PORT", "a", "ONLINE", "FREE")));
  EXPECT_EQ(Value("select port from device"), "port:command:a:plug:2");
  EXPECT_EQ(Value("select provenance from result"), "measured");
  EXPECT_THAT(Value("select quality_reasons from result"), Not(HasSubstr("port_not_cut")));
}

TEST_F(PortCutTest, ASwitchThatOnlySaysSoIsReportedAndGivesPowerBackAllTheSame) {
  PlugInMeter(kPoweredW);
  StartFarm();
  Go();
  const Ended ended = Submit(Experiment(), {"--wait"});
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  ExpectOneCut();
  EXPECT_EQ(Value("select verified from port_switch where switched_on = 0"), "not_seen");
  EXPECT_THAT(Value("select quality_reasons from result"),
              HasSubstr("port_not_cut:port:command:a:plug:2"));
  EXPECT_NE(Value("select energy_quality from result"), "VALID");
}

TEST_F(PortCutTest, WhereNothingMeasuresTheCutIsRecordedAsNotVerified) {
  StartFarm();
  Go();
  EXPECT_EQ(Submit(Experiment(), {"--wait"}).code, 0);
  ExpectOneCut();
  EXPECT_EQ(Value("select verified from port_switch where switched_on = 0"), "no_meter");
}

TEST_F(PortCutTest, ARunThatFailsGivesPowerBack) {
  StartFarm();
  Go();
  EXPECT_EQ(Submit(Experiment("exit 3"), {"--wait"}).code, 1);
  EXPECT_TRUE(JobIs("FAILED"));
  ExpectOneCut();
}

TEST_F(PortCutTest, ACancelInMidRunGivesPowerBack) {
  StartFarm();
  SubmitAndAwaitRun();
  EXPECT_EQ(RunCli({"job", "cancel", "job-1"}).code, 0);
  ASSERT_TRUE(Eventually([this] { return JobIs("CANCELED"); }));
  ASSERT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
  ExpectOneCut();
}

TEST_F(PortCutTest, ACancelBeforeTheRunBeginsGivesPowerBack) {
  StartFarm();
  ASSERT_EQ(Submit(Experiment(), {"-o", "name"}).code, 0);
  // The agent waits for the power to fall, seconds yet.
  ASSERT_TRUE(Eventually([this] { return PortIs("off"); }));
  EXPECT_EQ(RunCli({"job", "cancel", "job-1"}).code, 0);
  ASSERT_TRUE(Eventually([this] { return JobIs("CANCELED"); }));
  ASSERT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
  EXPECT_EQ(History().front(), "off 2");
  EXPECT_EQ(History().back(), "on 2");
  ExpectPowered();
}

TEST_F(PortCutTest, ATimeOutGivesPowerBack) {
  StartFarm();
  const Ended ended = Submit(Experiment("true", "limits: {run: 1s}\n"), {"--wait"});
  EXPECT_EQ(ended.code, 1) << ended.out << ended.err;
  EXPECT_EQ(Value("select failure_class from job"), "TIMEOUT");
  ExpectOneCut();
}

TEST_F(PortCutTest, AnAgentToldToStopGivesPowerBackBeforeItEnds) {
  StartFarm();
  SubmitAndAwaitRun();
  agent("a").Signal(SIGTERM);
  EXPECT_EQ(agent("a").Wait(), std::optional<int>(0));
  ExpectOneCut();
}

TEST_F(PortCutTest, AfterKill9TheNextAgentGivesPowerBackBeforeItTakesWork) {
  PlugInMeter();
  StartFarm();
  SubmitAndAwaitRun();
  agent("a").Kill9();
  ASSERT_TRUE(PortIs("off")) << "nobody was left to give it back, so this test shows nothing";
  Go();
  StartAgent("a", {}, AgentArgs());
  ASSERT_TRUE(Eventually([this] { return JobIs("SUCCEEDED"); }));
  EXPECT_THAT(agent("a").err(), HasSubstr("gave power back to port 2 of switch plug"));
  ExpectCutAgainAfterACrash();
  // What the killed agent had not spooled yet went with it.
  EXPECT_THAT(Sql("select attempt.state, verified from port_switch join attempt on attempt.fence = "
                  "port_switch.attempt where switched_on = 0 order by attempt"),
              Contains(ElementsAre("SUCCEEDED", "seen")));
}

TEST_F(PortCutTest, AfterKill9PowerComesBackWithoutTheConfigurationOrAController) {
  StartFarm();
  SubmitAndAwaitRun();
  controller().Kill9();
  agent("a").Kill9();
  ASSERT_TRUE(PortIs("off"));
  StartAgent("a");
  EXPECT_TRUE(AgentIsAlone()) << agent("a").err();
  EXPECT_TRUE(PortIs("on"));
  agent("a").Signal(SIGTERM);
  EXPECT_EQ(agent("a").Wait(), std::optional<int>(0));
  ExpectOneCut();
  Go();
  StartController();
  StartAgent("a", {}, AgentArgs());
  ASSERT_TRUE(Eventually([this] { return JobIs("SUCCEEDED"); }));
  ExpectCutAgainAfterACrash();
}

TEST_F(PortCutTest, AControllerKilledMeanwhileDoesNotKeepPowerFromComingBack) {
  StartFarm();
  SubmitAndAwaitRun();
  controller().Kill9();
  Go();
  EXPECT_TRUE(Eventually([this] { return PortIs("on"); }));
  StartController();
  ASSERT_TRUE(Eventually([this] { return JobIs("SUCCEEDED"); }));
  EXPECT_EQ(Value("select attempts from job"), "1");
  ExpectOneCut();
}

TEST_F(PortCutTest, WhatWasCuttingWhenTheAgentWasKilledDoesNotCutLater) {
  StartFarm();
  Touch("hold");
  ASSERT_EQ(Submit(Experiment(), {"-o", "name"}).code, 0);
  ASSERT_TRUE(Eventually([this] { return HasHappened(1); }));
  controller().Kill9();
  agent("a").Kill9();
  StartAgent("a", {}, AgentArgs());
  ASSERT_TRUE(AgentIsAlone()) << agent("a").err();
  std::filesystem::remove(dir() / "hold");
  ExpectNoStrays();
  EXPECT_THAT(History(), ElementsAre("off 2", "on 2"));
  EXPECT_TRUE(PortIs("on"));
}

TEST_F(PortCutTest, AnAgentThatCannotGivePowerBackTakesNoWorkUntilItCan) {
  StartFarm();
  SubmitAndAwaitRun();
  agent("a").Kill9();
  Touch("broken");
  Go();
  StartAgent("a", {}, AgentArgs());
  ASSERT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE DIRTY"); }));
  EXPECT_THAT(agent("a").err(), HasSubstr("port 2 of switch plug is still without power"));
  EXPECT_THAT(agent("a").err(), HasSubstr("the plug does not answer"));
  agent("a").Signal(SIGTERM);
  EXPECT_EQ(agent("a").Wait(), std::optional<int>(0));
  EXPECT_THAT(Turns(), ElementsAre("off 2", "run off", "on 2")) << "tried, and nothing was run";
  EXPECT_TRUE(PortIs("off"));
  EXPECT_TRUE(std::filesystem::exists(journal()));

  std::filesystem::remove(dir() / "broken");
  StartAgent("a", {}, AgentArgs());
  ASSERT_TRUE(Eventually([this] { return JobIs("SUCCEEDED"); }));
  EXPECT_THAT(Turns(), ElementsAre("off 2", "run off", "on 2", "off 2", "run off", "on 2"));
  ExpectPowered();
}

}  // namespace
}  // namespace joulefarm::e2e
