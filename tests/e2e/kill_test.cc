// Whatever is killed, stopped or frozen in the middle of an experiment: every job is done once,
// nothing is counted twice, and nothing is left running.
#include <gmock/gmock.h>
#include <signal.h>

#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/farm.h"

namespace joulefarm::e2e {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class KillTest : public FarmTest {
 protected:
  std::filesystem::path starts() const { return dir() / "starts"; }
  void Go() { WriteFile(dir() / "go", ""); }

  // Says that it has started and by which processes, then waits for ever, unless it may go.
  std::string WaitingScript(const std::string& first = "") const {
    return absl::StrCat(first, "\n[ -e ", (dir() / "go").string(),
                        " ] && { echo \"$E2E_AGENT {n}\" >> ", (dir() / "done").string(),
                        "; exit 0; }\nsleep 1000 &\necho \"$$ $!\" >> ", starts().string(),
                        "\nwait; sleep 1000");
  }

  // The processes of every run that has begun so far.
  std::vector<pid_t> StartedPids() const {
    std::vector<pid_t> pids;
    for (absl::string_view word :
         absl::StrSplit(ReadFile(starts()), absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
      int pid = 0;
      if (absl::SimpleAtoi(word, &pid)) pids.push_back(pid);
    }
    return pids;
  }

  void SubmitAndAwaitStart(const std::string& yaml) {
    const Ended submitted = Submit(yaml, {"-o", "name"});
    ASSERT_EQ(submitted.code, 0) << submitted.err;
    ASSERT_TRUE(Eventually([this] { return CountLines(starts()) == 1; }));
    for (const pid_t pid : StartedPids()) ASSERT_TRUE(IsAlive(pid));
  }

  void ExpectStartedAreGone() {
    EXPECT_TRUE(Eventually([this] {
      for (const pid_t pid : StartedPids()) {
        if (IsAlive(pid)) return false;
      }
      return true;
    }));
    ExpectNoStrays();
  }

  bool JobIs(const std::string& job, const std::string& state) {
    return Value(absl::StrCat("select state from job where id = '", job, "'")) == state;
  }

  // Every job SUCCEEDED, and its accepted attempt alone has results: `runs` of them.
  void ExpectEachJobOnce(int jobs, int runs) {
    EXPECT_EQ(Value("select count(*) from job where state = 'SUCCEEDED'"), absl::StrCat(jobs));
    EXPECT_EQ(Value("select count(*) from job where state <> 'SUCCEEDED'"), "0");
    EXPECT_EQ(Value("select count(*) from attempt where state = 'SUCCEEDED'"), absl::StrCat(jobs));
    EXPECT_EQ(Value("select count(*) from job join attempt on fence = accepted_fence and job_id = "
                    "job.id where attempt.state = "
                    "'SUCCEEDED'"),
              absl::StrCat(jobs));
    EXPECT_EQ(Value("select count(*) from result"), absl::StrCat(jobs * runs));
    EXPECT_EQ(
        Value(absl::StrCat(
            "select count(*) from (select job_id from result group by job_id having count(*) <> ",
            runs, ")")),
        "0");
    EXPECT_EQ(Value("select count(*) from job where live_fence is not null"), "0");
  }
};

TEST_F(KillTest, AnAgentKilledInMidRunLeavesNothingAndTheJobIsDoneOnce) {
  StartController();
  StartAgentAndWait("a");
  SubmitAndAwaitStart(CommandExperiment("crash", WaitingScript("trap '' TERM"), "[1]",
                                        "repetitions: 2\nwarmup: 0\n"));

  agent("a").Kill9();
  EXPECT_THAT(Strays(), Not(::testing::IsEmpty()))
      << "nothing was left behind, so this test shows nothing";
  EXPECT_TRUE(
      Eventually([this] { return Value("select link from device where id = 'a'") == "UNKNOWN"; }));
  EXPECT_EQ(Value("select state from job"), "ACTIVE");
  Go();
  StartAgent("a");
  ASSERT_TRUE(Eventually([this] { return JobIs("job-1", "SUCCEEDED"); }));

  ExpectStartedAreGone();
  ExpectEachJobOnce(1, 2);
  EXPECT_EQ(Value("select attempts from job"), "2");
  EXPECT_THAT(
      Sql("select fence, state, failure_class from attempt order by fence"),
      ElementsAre(ElementsAre("1", "INTERRUPTED", "INFRA"), ElementsAre("2", "SUCCEEDED", "NULL")));
  EXPECT_EQ(Value("select count(*) from run"), "2");
  EXPECT_EQ(Value("select count(*) from late_frame"), "0");
  EXPECT_EQ(CountLines(dir() / "done"), 2u) << "a run was executed twice";
  EXPECT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
}

TEST_F(KillTest, AgentAndControllerKilledTogether) {
  StartController();
  StartAgentAndWait("a");
  SubmitAndAwaitStart(
      CommandExperiment("both", WaitingScript(), "[1, 2]", "repetitions: 1\nwarmup: 0\n"));
  agent("a").Kill9();
  controller().Kill9();
  Go();
  StartAgent("a");
  StartController();
  ASSERT_TRUE(Eventually(
      [this] { return Value("select count(*) from job where state = 'SUCCEEDED'") == "2"; }));
  ExpectStartedAreGone();
  ExpectEachJobOnce(2, 1);
  EXPECT_THAT(Sql("select attempts from job order by number"),
              ElementsAre(ElementsAre("2"), ElementsAre("1")));
  EXPECT_EQ(CountLines(dir() / "done"), 2u);
}

TEST_F(KillTest, AControllerKilledAgainAndAgainLosesAndDoublesNothing) {
  StartController();
  StartAgentAndWait("a");
  StartAgentAndWait("b");
  const std::string script = absl::StrCat(
      "echo '{\"phase\": \"decode\", \"event\": \"begin\"}'\necho \"$E2E_AGENT {n}\" >> ",
      (dir() / "done").string(),
      "\necho '{\"token\": 7}'\necho '{\"phase\": \"decode\", \"event\": \"end\"}'\necho "
      "'{\"metric\": \"n\", \"value\": {n}}'");
  const auto cli = StartSubmit(
      CommandExperiment("again", script, "[1, 2, 3, 4, 5]", "repetitions: 2\nwarmup: 0\n"),
      {"--wait"});
  // Of 20 runs.
  for (const std::size_t runs : {1u, 4u, 9u, 14u}) {
    ASSERT_TRUE(Eventually([&] { return CountLines(dir() / "done") >= runs; }));
    controller().Kill9();
    // Once long enough for the waiting CLI to notice.
    if (runs == 9) {
      ASSERT_TRUE(
          Eventually([&] { return cli->err().find("cannot be reached") != std::string::npos; }));
    }
    StartController();
  }
  const Ended ended = cli->Finish();
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("answers again"));
  EXPECT_THAT(ended.out, HasSubstr("10 of 10 jobs succeeded"));

  ExpectEachJobOnce(10, 2);
  EXPECT_EQ(Value("select max(attempts) from job"), "1");
  const std::vector<std::string> done =
      absl::StrSplit(ReadFile(dir() / "done"), '\n', absl::SkipEmpty());
  EXPECT_EQ(done.size(), 20u) << "a run was executed twice, or not at all";
  for (const char* id : {"a", "b"}) {
    for (int n = 1; n <= 5; ++n) EXPECT_THAT(done, Contains(absl::StrCat(id, " ", n)).Times(2));
  }
  EXPECT_EQ(Value("select count(*) from run"), "20");
  EXPECT_EQ(Value("select count(*) from metric where name = 'n'"), "20");
  EXPECT_EQ(Value("select count(*) from phase where phase = 'decode'"), "20");
  EXPECT_EQ(Value("select count(*) from token_time"), "20");
  EXPECT_EQ(Value("select count(*) from (select attempt, origin, text from log where origin = "
                  "'stdout' group by 1, 2, 3 having "
                  "count(*) > 2)"),
            "0");
  EXPECT_EQ(Value("select count(*) from late_frame"), "0");
}

TEST_F(KillTest, AFrozenAgentThatComesBackTooLateIsNotCounted) {
  SetControllerConfig("heartbeat: 200ms\nttl: 2s\ngrace: 500ms\n");
  StartController();
  StartAgentAndWait("a");
  StartAgentAndWait("b");
  // `a` waits for its own file, `b` is quick.
  const std::string script = absl::StrCat("echo $E2E_AGENT >> ", starts().string(),
                                          "\n[ $E2E_AGENT = b ] && exit 0\nuntil [ -e ",
                                          (dir() / "go").string(), " ]; do sleep 0.05; done");
  ASSERT_EQ(
      Submit(CommandExperiment("late", script, "[1]",
                               "repetitions: 1\nwarmup: 0\ndevices: {count: 1}\nlost_after: 3s\n"))
          .code,
      0);
  ASSERT_TRUE(Eventually([this] { return ReadFile(starts()) == "a\n"; }));
  agent("a").Signal(SIGSTOP);
  ASSERT_TRUE(Eventually([this] { return JobIs("job-1", "SUCCEEDED"); }));
  EXPECT_EQ(ReadFile(starts()), "a\nb\n");
  Go();
  agent("a").Signal(SIGCONT);
  ASSERT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));

  EXPECT_THAT(Sql("select fence, device_id, state from attempt order by fence"),
              ElementsAre(ElementsAre("1", "a", "LOST"), ElementsAre("2", "b", "SUCCEEDED")));
  EXPECT_THAT(Sql("select attempt, device_id from result"), ElementsAre(ElementsAre("2", "b")));
  EXPECT_EQ(Value("select count(*) from run where attempt = 1"), "0");
  ExpectEachJobOnce(1, 1);
  ExpectNoStrays();
}

TEST_F(KillTest, AFrozenAgentThatComesBackInTimeMayStillWin) {
  SetControllerConfig("heartbeat: 200ms\nttl: 2s\ngrace: 500ms\n");
  StartController();
  StartAgentAndWait("a");
  const std::string script =
      absl::StrCat("echo x >> ", starts().string(), "\nuntil [ -e ", (dir() / "go").string(),
                   " ]; do sleep 0.05; done\necho \"$E2E_AGENT\" >> ", (dir() / "done").string());
  ASSERT_EQ(Submit(CommandExperiment("back", script, "[1]",
                                     "repetitions: 1\nwarmup: 0\nlost_after: 1s\n"))
                .code,
            0);
  ASSERT_TRUE(Eventually([this] { return CountLines(starts()) == 1; }));
  agent("a").Signal(SIGSTOP);
  ASSERT_TRUE(Eventually([this] { return JobIs("job-1", "QUEUED"); }));
  agent("a").Signal(SIGCONT);
  ASSERT_TRUE(Eventually([this] { return JobIs("job-1", "ACTIVE"); }));
  Go();
  ASSERT_TRUE(Eventually([this] { return JobIs("job-1", "SUCCEEDED"); }));
  ExpectEachJobOnce(1, 1);
  EXPECT_EQ(CountLines(dir() / "done"), 1u);
  EXPECT_EQ(Value("select accepted_fence from job"), "1");
}

TEST_F(KillTest, AnAgentToldToStopInMidRunEndsSoonAndCleanly) {
  StartController();
  StartAgentAndWait("a");
  SubmitAndAwaitStart(CommandExperiment("stop", WaitingScript("trap '' TERM"), "[1]",
                                        "repetitions: 1\nwarmup: 0\n"));
  agent("a").Signal(SIGTERM);
  EXPECT_EQ(agent("a").Wait(std::chrono::seconds(30)), std::optional<int>(0));
  ExpectStartedAreGone();
  EXPECT_TRUE(Eventually(
      [this] { return Value("select state from attempt where fence = 1") == "INTERRUPTED"; }));
  Go();
  StartAgent("a");
  ASSERT_TRUE(Eventually([this] { return JobIs("job-1", "SUCCEEDED"); }));
  ExpectEachJobOnce(1, 1);
  EXPECT_EQ(Value("select attempts from job"), "2");
}

TEST_F(KillTest, AnAgentToldToStopWhileTheControllerIsAwayDeliversLater) {
  StartController();
  StartAgentAndWait("a");
  SubmitAndAwaitStart(
      CommandExperiment("alone", WaitingScript(), "[1]", "repetitions: 1\nwarmup: 0\n"));
  controller().Kill9();
  agent("a").Signal(SIGTERM);
  EXPECT_EQ(agent("a").Wait(std::chrono::seconds(60)), std::optional<int>(0));
  ExpectStartedAreGone();
  Go();
  StartController();
  StartAgent("a");
  ASSERT_TRUE(Eventually([this] { return JobIs("job-1", "SUCCEEDED"); }));
  ExpectEachJobOnce(1, 1);
}

TEST_F(KillTest, ACanceledJobStopsAndTheDeviceIsFreeForTheNext) {
  StartController();
  StartAgentAndWait("a");
  SubmitAndAwaitStart(CommandExperiment("cancel", WaitingScript("trap '' TERM"), "[1]",
                                        "repetitions: 1\nwarmup: 0\n"));
  const Ended canceled = RunCli({"job", "cancel", "job-1"});
  EXPECT_EQ(canceled.code, 0) << canceled.err;
  ASSERT_TRUE(Eventually([this] { return JobIs("job-1", "CANCELED"); }));
  ExpectStartedAreGone();
  EXPECT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
  EXPECT_EQ(Value("select state from attempt"), "CANCELED");
  EXPECT_EQ(Value("select count(*) from result"), "0");
  EXPECT_EQ(Submit(CommandExperiment("next", "true"), {"--wait"}).code, 0);
  EXPECT_EQ(RunCli({"job", "cancel", "job-77"}).code, 2);
}

TEST_F(KillTest, ACanceledExperimentStopsAllOfItAndItsWaiterSaysSo) {
  StartController();
  StartAgentAndWait("a");
  const auto cli = StartSubmit(
      CommandExperiment("many", WaitingScript(), "[1, 2, 3]", "repetitions: 1\nwarmup: 0\n"),
      {"--wait"});
  ASSERT_TRUE(Eventually([this] { return CountLines(starts()) == 1; }));
  EXPECT_EQ(RunCli({"experiment", "cancel", "many"}).code, 0);
  const Ended ended = cli->Finish();
  EXPECT_EQ(ended.code, 1) << ended.out << ended.err;
  EXPECT_EQ(Value("select count(*) from job where state = 'CANCELED'"), "3");
  ExpectStartedAreGone();
  EXPECT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
  EXPECT_EQ(CountLines(starts()), 1u);
}

TEST_F(KillTest, ACancelWhileTheAgentIsDeadTakesEffect) {
  StartController();
  StartAgentAndWait("a");
  SubmitAndAwaitStart(
      CommandExperiment("dead", WaitingScript(), "[1]", "repetitions: 1\nwarmup: 0\n"));
  agent("a").Kill9();
  EXPECT_EQ(RunCli({"job", "cancel", "job-1"}).code, 0);
  StartAgent("a");
  ASSERT_TRUE(Eventually([this] { return JobIs("job-1", "CANCELED"); }));
  ExpectStartedAreGone();
  EXPECT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
  EXPECT_EQ(CountLines(starts()), 1u) << "a canceled job was tried again";
}

TEST_F(KillTest, ARunBeyondItsLimitIsATimeOut) {
  StartController();
  StartAgentAndWait("a");
  const Ended ended =
      Submit(CommandExperiment("slow", WaitingScript("trap '' TERM\necho going to sleep >&2"),
                               "[1]", "repetitions: 1\nwarmup: 0\nlimits: {run: 1s}\n"),
             {"--wait"});
  EXPECT_EQ(ended.code, 1) << ended.out << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("TIMEOUT"));
  ExpectStartedAreGone();
  EXPECT_THAT(Sql("select state, failure_class, attempts from job"),
              ElementsAre(ElementsAre("FAILED", "TIMEOUT", "1")));
  EXPECT_EQ(Value("select state from attempt"), "TIMED_OUT");
  const std::string reason = Value("select reason from job");
  EXPECT_THAT(reason, HasSubstr("limit"));
  EXPECT_THAT(reason, HasSubstr("going to sleep"));
  EXPECT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
}

}  // namespace
}  // namespace joulefarm::e2e
