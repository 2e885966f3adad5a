// The workload `throughput` against a real child process that behaves like llama-bench, well or
// badly.
#include "agent/workload/throughput.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <thread>

#include "agent/process/boottime.h"
#include "common/measure/phases.h"
#include "tests/agent/workload/workload_fixture.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class ThroughputTest : public WorkloadTest {
 protected:
  ThroughputTest() {
    v1::ThroughputSpec& throughput = *spec_.mutable_throughput();
    throughput.set_n_prompt(64);
    throughput.set_n_gen(16);
    GiveModel();
    GiveLlama(dir_ / "llama-server", "9999 (server)");
    std::filesystem::create_symlink(FAKE_LLAMA_BENCH, dir_ / "llama-bench");
  }

  WorkloadOutcome Run(const char* mode, ThroughputLimits limits = {}) {
    setenv("FAKE_BENCH_MODE", mode, 1);
    return ThroughputWorkload(limits).Run(context_);
  }
  // Runs and expects a failure of this class whose reason contains `text`.
  void ExpectFailure(const char* mode, v1::FailureClass failure_class, const std::string& text) {
    ExpectFailed(Run(mode), failure_class, text);
    EXPECT_TRUE(journal_.open.empty()) << "a process was left";
  }
  std::vector<v1::PhaseDone> PhasesOf(v1::Phase phase) const {
    std::vector<v1::PhaseDone> found;
    for (const v1::PhaseDone& done : recorder_.phases()) {
      if (done.phase() == phase) found.push_back(done);
    }
    return found;
  }
};

TEST_F(ThroughputTest, RunsAreMadeOfBothTests) {
  const WorkloadOutcome outcome = Run("normal");
  ASSERT_EQ(outcome.outcome, v1::OUTCOME_SUCCEEDED) << outcome.reason;
  const auto runs = recorder_.runs();
  ASSERT_THAT(runs, SizeIs(3));
  EXPECT_TRUE(runs[0].warmup());
  EXPECT_FALSE(runs[1].warmup());
  const auto prefills = PhasesOf(v1::PHASE_PREFILL);
  const auto decodes = PhasesOf(v1::PHASE_DECODE);
  ASSERT_THAT(prefills, SizeIs(3));
  ASSERT_THAT(decodes, SizeIs(3));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(runs[i].run(), i);
    EXPECT_EQ(runs[i].bench().n_prompt(), 64);
    EXPECT_EQ(runs[i].bench().n_gen(), 16);
    EXPECT_FALSE(runs[i].bench().has_n_depth());
    EXPECT_EQ(prefills[i].end_ns() - prefills[i].start_ns(), runs[i].bench().prompt_ns());
    EXPECT_EQ(decodes[i].end_ns() - decodes[i].start_ns(), runs[i].bench().gen_ns());
    EXPECT_GE(runs[i].bench().prompt_ns(), 2'000'000);
    EXPECT_EQ(runs[i].start_ns(), prefills[i].start_ns());
    EXPECT_EQ(runs[i].end_ns(), decodes[i].end_ns());
    EXPECT_FALSE(runs[i].has_output_sha256());
    EXPECT_TRUE(prefills[i].has_bound_ns());
    EXPECT_EQ(prefills[i].run(), i);
    EXPECT_FALSE(prefills[i].has_request());
  }
  EXPECT_TRUE(recorder_.tokens.empty());
  EXPECT_TRUE(recorder_.requests().empty());
  EXPECT_TRUE(recorder_.reasons().empty());
  EXPECT_TRUE(journal_.open.empty());
}

TEST_F(ThroughputTest, PhasesDoNotOverlap) {
  ASSERT_EQ(Run("normal").outcome, v1::OUTCOME_SUCCEEDED);
  std::vector<PhaseSpan> spans;
  for (const v1::PhaseDone& done : recorder_.phases())
    spans.push_back({done.phase(), {done.start_ns(), done.end_ns()}, {}, {}});
  EXPECT_EQ(CompletePartition(spans, {0, BoottimeNs()}).overlap_ns, 0);
  EXPECT_EQ(PhasesOf(v1::PHASE_LOAD).size(), 1u);
}

TEST_F(ThroughputTest, FactsAreThoseOfTheProgramThatRan) {
  ASSERT_EQ(Run("normal").outcome, v1::OUTCOME_SUCCEEDED);
  ASSERT_FALSE(recorder_.facts().empty());
  const v1::AttemptFacts facts = recorder_.facts().back();
  EXPECT_EQ(facts.engine(), "llama.cpp");
  EXPECT_EQ(facts.engine_version(), "77 (fake)");
  EXPECT_GT(facts.load_ms(), 0);
  EXPECT_EQ(facts.load_state(), "warm");
  context_.engines[0].set_version("0.7.0 (build 77, commit fake)");
  ASSERT_EQ(Run("normal").outcome, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(recorder_.facts().back().engine_version(), "0.7.0 (build 77, commit fake)");
  EXPECT_THAT(facts.engine_argv(), AllOf(Contains("--no-warmup"), Contains("--progress")));
}

TEST_F(ThroughputTest, OneTestAlone) {
  spec_.mutable_throughput()->set_n_prompt(0);
  spec_.mutable_throughput()->set_n_depth(32);
  ASSERT_EQ(Run("normal").outcome, v1::OUTCOME_SUCCEEDED);
  const auto runs = recorder_.runs();
  ASSERT_THAT(runs, SizeIs(3));
  EXPECT_FALSE(runs[0].bench().has_n_prompt());
  EXPECT_FALSE(runs[0].bench().has_prompt_ns());
  EXPECT_EQ(runs[0].bench().n_depth(), 32);
  EXPECT_EQ(runs[2].bench().n_gen(), 16);
  EXPECT_TRUE(PhasesOf(v1::PHASE_PREFILL).empty());
}

TEST_F(ThroughputTest, PeakOfMemoryBelongsToItsTest) {
  std::mutex mutex;
  std::int64_t next = 0;
  context_.take_peak_rss = [&]() -> std::optional<std::int64_t> {
    const std::lock_guard lock(mutex);
    return ++next;
  };
  ASSERT_EQ(Run("normal").outcome, v1::OUTCOME_SUCCEEDED);
  const auto runs = recorder_.runs();
  ASSERT_THAT(runs, SizeIs(3));
  // Each line takes the peak of what came before it; the generation tests came later.
  EXPECT_LT(runs[0].peak_rss_bytes(), runs[1].peak_rss_bytes());
  EXPECT_LT(runs[1].peak_rss_bytes(), runs[2].peak_rss_bytes());
}

TEST_F(ThroughputTest, SaysWhatRuns) {
  std::mutex mutex;
  std::vector<std::string> states;
  context_.on_state = [&](v1::AttemptState, const std::string& text) {
    const std::lock_guard lock(mutex);
    states.push_back(text);
  };
  spec_.set_warmup(0);
  ASSERT_EQ(Run("normal").outcome, v1::OUTCOME_SUCCEEDED);
  EXPECT_THAT(states, ElementsAre("looking at the background", "loading the model",
                                  "run 1 of 2, prompt test", "run 2 of 2, prompt test",
                                  "run 1 of 2, generation test", "run 2 of 2, generation test"));
}

TEST_F(ThroughputTest, OptionsOfTheEnvironmentDoNotReachIt) {
  setenv("LLAMA_ARG_THREADS", "64", 1);
  const WorkloadOutcome outcome = Run("normal");
  unsetenv("LLAMA_ARG_THREADS");
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_SUCCEEDED) << outcome.reason;
}

TEST_F(ThroughputTest, Failures) {
  ExpectFailure("exit_load", v1::FAILURE_CLASS_USER, "failed to load model");
  ExpectFailure("exit_load", v1::FAILURE_CLASS_USER,
                "llama-bench ended while loading the model: exit code 1");
  ExpectFailure("crash_mid", v1::FAILURE_CLASS_USER,
                "llama-bench ended in run 2 of 3, generation test: killed by signal 11");
  ExpectFailure("crash_mid", v1::FAILURE_CLASS_USER, "fake: about to crash");
  ExpectFailure("oom_mid", v1::FAILURE_CLASS_OOM, "ran out of memory in run 2 of 3");
  ExpectFailure("not_executable", v1::FAILURE_CLASS_INFRA, "cannot be executed");
  EXPECT_TRUE(recorder_.runs().empty());
}

TEST_F(ThroughputTest, GarbageIsNamed) {
  ExpectFailure("garbage", v1::FAILURE_CLASS_USER, "it printed what is no result: | model | size");
  ExpectFailure("no_progress", v1::FAILURE_CLASS_USER, "announced 0 of 6 repetitions");
  ExpectFailure("few_samples", v1::FAILURE_CLASS_USER, "n_depth 0, 2 samples");
  ExpectFailure("other_test", v1::FAILURE_CLASS_USER, "n_prompt 65, n_gen 0");
  ExpectFailure("for_ever", v1::FAILURE_CLASS_USER, "its samples_ns say more time than it ran");
}

TEST_F(ThroughputTest, DurationsThatDoNotFitAreInvalid) {
  const WorkloadOutcome outcome = Run("too_long");
  ASSERT_EQ(outcome.outcome, v1::OUTCOME_SUCCEEDED) << outcome.reason;
  const auto reasons = recorder_.reasons();
  ASSERT_FALSE(reasons.empty());
  EXPECT_EQ(reasons[0].code(), "impossible_stamps");
  EXPECT_EQ(reasons[0].quality(), v1::QUALITY_INVALID);
}

TEST_F(ThroughputTest, AMissingLlamaBenchIsTheFarmsFault) {
  std::filesystem::remove(dir_ / "llama-bench");
  ExpectFailure("normal", v1::FAILURE_CLASS_INFRA,
                "it is looked for beside llama-server: install it there");
  context_.engines.clear();
  ExpectFailure("normal", v1::FAILURE_CLASS_INFRA, "no llama.cpp on this device");
}

TEST_F(ThroughputTest, LimitsEndIt) {
  spec_.mutable_limits()->set_prepare_ns(200'000'000);
  WorkloadOutcome outcome = Run("hang_load");
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_TIMED_OUT);
  EXPECT_THAT(outcome.reason, HasSubstr("limit 'prepare' (200ms) passed while llama-bench was"));
  spec_.mutable_limits()->set_prepare_ns(0);
  spec_.mutable_limits()->set_run_ns(200'000'000);
  outcome = Run("hang_mid");
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_TIMED_OUT);
  EXPECT_THAT(outcome.reason,
              HasSubstr("limit 'run' (200ms) passed in run 2 of 3, generation test"));
  spec_.mutable_limits()->set_run_ns(0);
  outcome =
      Run("hang_mid", {.stall_ns = 100'000'000, .per_prompt_token_ns = 0, .per_gen_token_ns = 0});
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_TIMED_OUT);
  EXPECT_THAT(outcome.reason, HasSubstr("llama-bench hangs in run 2 of 3, generation test"));
  EXPECT_TRUE(journal_.open.empty());
}

TEST_F(ThroughputTest, CancelLeavesNothingBehind) {
  std::stop_source source;
  context_.stop = source.get_token();
  std::thread canceler([&] {
    recorder_.WaitUntil([&] { return recorder_.HasLog("generation run 2/3"); });
    source.request_stop();
  });
  const WorkloadOutcome outcome = Run("hang_mid");
  canceler.join();
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_CANCELED);
  EXPECT_THAT(outcome.reason, HasSubstr("generation run 2/3"));
  EXPECT_TRUE(journal_.open.empty());
  EXPECT_TRUE(recorder_.runs().empty());
}

TEST(LlamaBenchArgv, SetsWhatTheSpecSets) {
  v1::ThroughputSpec spec;
  spec.set_n_prompt(7);
  EXPECT_THAT(LlamaBenchArgv("/e/llama-bench", "/m", spec, 3),
              ElementsAre("/e/llama-bench", "-m", "/m", "-p", "7", "-n", "0", "-r", "3", "-o",
                          "jsonl", "--no-warmup", "--progress"));
  spec.set_n_depth(1);
  spec.set_threads(2);
  spec.set_batch(3);
  spec.set_ubatch(4);
  spec.set_cache_type_k("q8_0");
  spec.set_cache_type_v("f16");
  spec.set_gpu_layers(5);
  spec.set_flash_attn("on");
  EXPECT_THAT(LlamaBenchArgv("b", "m", spec, 1),
              ElementsAre("b", "-m", "m", "-p", "7", "-n", "0", "-d", "1", "-t", "2", "-b", "3",
                          "-ub", "4", "-ctk", "q8_0", "-ctv", "f16", "-ngl", "5", "-fa", "on", "-r",
                          "1", "-o", "jsonl", "--no-warmup", "--progress"));
}

}  // namespace
}  // namespace joulefarm::agent
