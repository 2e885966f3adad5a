#include "agent/workload/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/agent/workload/workload_fixture.h"

namespace joulefarm::agent {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class CommandTest : public WorkloadTest {
 protected:
  CommandTest() {
    spec_.set_warmup(0);
    spec_.set_repetitions(1);
  }
  WorkloadOutcome Run(std::vector<std::string> argv) {
    spec_.mutable_command()->clear_argv();
    for (std::string& argument : argv) spec_.mutable_command()->add_argv(std::move(argument));
    return CommandWorkload().Run(context_);
  }
  WorkloadOutcome Shell(const std::string& script) { return Run({"sh", "-c", script}); }
};

TEST_F(CommandTest, FillsInTheModelAndNothingElse) {
  spec_.mutable_command()->add_argv("{model.path}:{model.path}");
  spec_.mutable_command()->add_argv("{other} {}");
  EXPECT_THAT(CommandArgv(spec_.command(), "/m"), ElementsAre("/m:/m", "{other} {}"));
  EXPECT_THAT(CommandArgv(spec_.command(), std::nullopt),
              ElementsAre("{model.path}:{model.path}", "{other} {}"));
}

TEST_F(CommandTest, RunsTheProgramOncePerRun) {
  spec_.set_warmup(1);
  spec_.set_repetitions(2);
  ASSERT_EQ(Shell("echo run; echo x >> count").outcome, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(std::filesystem::file_size(dir_ / "count"), 6U);
  const auto runs = recorder_.runs();
  ASSERT_THAT(runs, SizeIs(3));
  EXPECT_TRUE(runs[0].warmup());
  EXPECT_FALSE(runs[2].warmup());
  EXPECT_FALSE(runs[0].has_output_sha256());
  EXPECT_THAT(recorder_.logs, Contains("engine: run"));
  ASSERT_THAT(recorder_.facts(), SizeIs(1));
  EXPECT_THAT(recorder_.facts()[0].engine_argv(), SizeIs(3));
  EXPECT_EQ(engine_changes_, 6);
}

TEST_F(CommandTest, TakesUpWhatTheProgramReports) {
  ASSERT_EQ(Shell(R"(echo '{"phase": "prefill", "event": "begin"}'
                     echo '{"phase": "prefill", "event": "end"}'
                     echo '{"phase": "decode", "event": "begin"}'
                     echo '{"token": 17}'; echo '{"token": 4}'
                     echo '{"phase": "decode", "event": "end"}'
                     echo '{"metric": "otps", "value": 12.5, "unit": "1/s"}'
                     echo '{"metric": "score", "value": 3}'
                     echo '{"metric": "on stderr", "value": 3}' >&2
                     echo '{"metric": broken')")
                .outcome,
            v1::OUTCOME_SUCCEEDED);
  const auto phases = recorder_.phases();
  ASSERT_THAT(phases, SizeIs(2));
  EXPECT_EQ(phases[0].phase(), v1::PHASE_PREFILL);
  EXPECT_EQ(phases[1].phase(), v1::PHASE_DECODE);
  EXPECT_EQ(phases[1].run(), 0);
  ASSERT_THAT(recorder_.metrics, SizeIs(2));
  EXPECT_EQ(recorder_.metrics[0].name(), "otps");
  EXPECT_EQ(recorder_.metrics[0].unit(), "1/s");
  EXPECT_EQ(recorder_.metrics[1].value(), 3);
  ASSERT_THAT(recorder_.tokens, SizeIs(1));
  EXPECT_THAT(recorder_.tokens[0].id(), ElementsAre(17, 4));
  EXPECT_THAT(recorder_.tokens[0].idx(), ElementsAre(1, 2));
  ASSERT_THAT(recorder_.requests(), SizeIs(1));
  EXPECT_EQ(recorder_.requests()[0].t_req_ns(), phases[0].start_ns());
  EXPECT_EQ(recorder_.requests()[0].n_gen(), 2);
  EXPECT_TRUE(recorder_.runs()[0].has_output_sha256());
  EXPECT_TRUE(recorder_.HasLog("{\"metric\": broken"));
  EXPECT_TRUE(recorder_.HasLog("on stderr"));
  EXPECT_TRUE(recorder_.reasons().empty());
}

TEST_F(CommandTest, APhaseLeftOpenIsClosedAtTheEndAndSaid) {
  ASSERT_EQ(
      Shell(
          R"(echo '{"phase": "load", "event": "begin"}'; echo '{"phase": "decode", "event": "begin"}'
                     echo '{"phase": "tail", "event": "end"}')")
          .outcome,
      v1::OUTCOME_SUCCEEDED);
  const auto phases = recorder_.phases();
  ASSERT_THAT(phases, SizeIs(2));
  EXPECT_EQ(phases[0].phase(), v1::PHASE_LOAD);
  EXPECT_EQ(phases[0].end_ns(), phases[1].start_ns()) << "a begin ends the phase before it";
  EXPECT_EQ(phases[1].end_ns(), recorder_.runs()[0].end_ns());
  ASSERT_THAT(recorder_.reasons(), SizeIs(2));
  EXPECT_EQ(recorder_.reasons()[0].code(), "phase_not_ended");
  EXPECT_EQ(recorder_.reasons()[0].detail(), "decode");
  EXPECT_TRUE(recorder_.HasLog("end of phase tail without its begin"));
}

TEST_F(CommandTest, FailuresAreUserWithTheLastOutput) {
  const WorkloadOutcome outcome = Shell("echo some words; exit 7");
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_FAILED);
  EXPECT_EQ(outcome.failure_class, v1::FAILURE_CLASS_USER);
  EXPECT_EQ(outcome.reason,
            "the command failed in run 1 of 1: exit code 7.\nLast output:\nsome words");
  EXPECT_EQ(
      Shell("kill -SEGV $$").reason,
      "the command failed in run 1 of 1: killed by signal 11 (SIGSEGV).\nIt printed nothing.");
  EXPECT_EQ(Shell("echo std::bad_alloc; exit 1").failure_class, v1::FAILURE_CLASS_OOM);
}

TEST_F(CommandTest, AMissingProgramIsInfra) {
  const WorkloadOutcome outcome = Run({"no-such-program"});
  EXPECT_EQ(outcome.failure_class, v1::FAILURE_CLASS_INFRA);
  EXPECT_THAT(outcome.reason, HasSubstr("'no-such-program' is not in PATH ("));
}

TEST_F(CommandTest, TheRunLimitCoversAllRuns) {
  spec_.mutable_limits()->set_run_ns(200'000'000);
  const WorkloadOutcome outcome = Shell("sleep 1000");
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_TIMED_OUT);
  EXPECT_EQ(outcome.failure_class, v1::FAILURE_CLASS_TIMEOUT);
  EXPECT_THAT(outcome.reason, HasSubstr("limit 'run' (200ms) passed in run 1 of 1"));
}

TEST_F(CommandTest, StopKillsTheProgramAndWhatItStarted) {
  std::thread stopper([&] {
    EXPECT_TRUE(recorder_.WaitUntil([&] { return recorder_.HasLog("up"); }));
    stop_.request_stop();
  });
  EXPECT_EQ(Shell("trap '' TERM; sleep 1000 & echo up; sleep 1000").outcome, v1::OUTCOME_CANCELED);
  stopper.join();
}

TEST_F(CommandTest, BackgroundChildrenDoNotOutliveASuccess) {
  EXPECT_EQ(Shell("sleep 1000 & exit 0").outcome, v1::OUTCOME_SUCCEEDED);
}

TEST_F(CommandTest, GarbageAndFloodsBecomeValidBoundedLog) {
  ASSERT_EQ(Shell("head -c 3000000 /dev/urandom; echo; yes | head -100000").outcome,
            v1::OUTCOME_SUCCEEDED);
  EXPECT_LE(recorder_.logs.size(), 20'002U);
  EXPECT_TRUE(recorder_.HasLog("the engine prints too much"));
  v1::LogLine line;
  for (const std::string& log : recorder_.logs) {
    line.set_text(log);
    ASSERT_TRUE(v1::LogLine().ParseFromString(line.SerializeAsString())) << "not UTF-8";
  }
}

}  // namespace
}  // namespace joulefarm::agent
