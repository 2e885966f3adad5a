// The workload `generate` against a real child process that behaves like llama-server, well or
// badly.
#include "agent/workload/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "agent/process/boottime.h"
#include "common/sha256/sha256.h"
#include "tests/agent/workload/workload_fixture.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::int64_t kSecond = 1'000'000'000;

class GenerateTest : public WorkloadTest {
 protected:
  GenerateTest() {
    v1::GenerateSpec& generate = *spec_.mutable_generate();
    generate.set_engine("llama.cpp");
    generate.set_max_tokens(10);
    generate.add_prompts()->set_text("hello");
    GiveModel();
    GiveLlama(FAKE_LLAMA_SERVER, "9999 (fake)");
    setenv("FAKE_LLAMA_STATE", dir_.c_str(), 1);
  }

  WorkloadOutcome Run(const char* mode, GenerateLimits limits = {}) {
    setenv("FAKE_LLAMA_MODE", mode, 1);
    return GenerateWorkload(limits).Run(context_);
  }
  // Runs and expects a failure of this class whose reason contains `text`.
  void ExpectFailure(const char* mode, v1::FailureClass failure_class, const std::string& text) {
    ExpectFailed(Run(mode), failure_class, text);
  }
};

TEST_F(GenerateTest, TellsTheSpeedToWhoeverLooks) {
  std::vector<double> speeds;
  context_.on_speed = [&speeds](double tokens_per_s) { speeds.push_back(tokens_per_s); };
  const WorkloadOutcome outcome = Run("slow");
  ASSERT_EQ(outcome.outcome, v1::OUTCOME_SUCCEEDED) << outcome.reason;
  // The last word on a request is what its stamps say, where they differ.
  std::optional<double> last;
  for (const v1::RequestDone& request : recorder_.requests()) {
    const std::int64_t ns = request.t_last_ns() - request.t_first_ns();
    if (ns > 0) last = (request.idx_last() - request.idx_first()) * 1e9 / static_cast<double>(ns);
  }
  ASSERT_TRUE(last.has_value());
  ASSERT_FALSE(speeds.empty());
  EXPECT_DOUBLE_EQ(speeds.back(), *last);
}

TEST_F(GenerateTest, RecordsRunsPhasesRequestsAndTokens) {
  const WorkloadOutcome outcome = Run("normal");
  ASSERT_EQ(outcome.outcome, v1::OUTCOME_SUCCEEDED) << outcome.reason;
  const auto runs = recorder_.runs();
  ASSERT_THAT(runs, SizeIs(3));
  EXPECT_TRUE(runs[0].warmup());
  EXPECT_FALSE(runs[1].warmup());
  EXPECT_EQ(runs[2].run(), 2);
  EXPECT_EQ(runs[1].output_sha256(),
            Sha256Hex("101\n102\n103\n104\n105\n106\n107\n108\n109\n110\n\n"));
  EXPECT_FALSE(runs[1].has_peak_rss_bytes());  // nobody samples here
  const auto requests = recorder_.requests();
  ASSERT_THAT(requests, SizeIs(3));
  const v1::RequestDone& request = requests[1];
  EXPECT_EQ(request.n_prompt(), 5);
  EXPECT_EQ(request.n_evaluated(), 5);
  EXPECT_EQ(request.n_cached(), 0) << "the cache was not switched off";
  EXPECT_EQ(request.n_gen(), 10);
  EXPECT_EQ(request.idx_first(), 1);
  EXPECT_EQ(request.idx_last(), 10);
  EXPECT_EQ(request.prompt_ms(), 4.5);
  EXPECT_EQ(request.stop(), "limit");
  EXPECT_LT(request.t_req_ns(), request.t_first_ns());
  ASSERT_THAT(recorder_.tokens, SizeIs(3));
  EXPECT_THAT(recorder_.tokens[1].idx(), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
  EXPECT_TRUE(std::is_sorted(recorder_.tokens[1].t_ns().begin(), recorder_.tokens[1].t_ns().end()));
  EXPECT_THAT(states_, Contains("ATTEMPT_STATE_RUNNING run 2 of 3"));
  EXPECT_EQ(engine_changes_, 2);
}

TEST_F(GenerateTest, PhasesDoNotOverlapAndMatchTheRequests) {
  spec_.set_power(v1::POWER_REQUIRE_OPTIONAL);
  spec_.mutable_plan()->set_idle_ns(300'000'000);
  spec_.mutable_plan()->set_pause_ns(10'000'000);
  spec_.mutable_plan()->set_tail_ns(20'000'000);
  ASSERT_EQ(Run("slow").outcome, v1::OUTCOME_SUCCEEDED);
  std::vector<v1::PhaseDone> phases = recorder_.phases();
  std::vector<std::string> names;
  for (std::size_t i = 0; i < phases.size(); ++i) {
    names.push_back(v1::Phase_Name(phases[i].phase()).substr(6));
    EXPECT_LE(phases[i].start_ns(), phases[i].end_ns());
    if (i > 0) {
      EXPECT_LE(phases[i - 1].end_ns(), phases[i].start_ns()) << names[i];
    }
  }
  EXPECT_THAT(names,
              ElementsAre("IDLE_UNLOADED", "LOAD", "PREFILL", "DECODE", "IDLE_LOADED", "PREFILL",
                          "DECODE", "IDLE_LOADED", "PREFILL", "DECODE", "IDLE_LOADED", "TAIL"));
  EXPECT_EQ(phases[2].start_ns(), recorder_.requests()[0].t_req_ns());
  EXPECT_EQ(phases[3].start_ns(), recorder_.requests()[0].t_first_ns());
  EXPECT_EQ(phases[3].end_ns(), recorder_.requests()[0].t_last_ns());
  EXPECT_EQ(phases[3].run(), 0);
  EXPECT_FALSE(phases[1].has_run());
  const auto facts = recorder_.facts();
  ASSERT_THAT(facts, SizeIs(1));
  EXPECT_THAT(facts[0].shortened(),
              ElementsAre("settle=0s<30s", "idle=300ms<10s", "pause=10ms<2s", "tail=20ms<5s"));
}

TEST_F(GenerateTest, RecordsWhatTheAttemptRanWith) {
  v1::GenerateSpec& generate = *spec_.mutable_generate();
  generate.set_threads(2);
  generate.set_ctx(512);
  generate.set_flash_attn("on");
  context_.agent_version = "1.2.3";
  ASSERT_EQ(Run("normal").outcome, v1::OUTCOME_SUCCEEDED);
  const auto facts = recorder_.facts();
  ASSERT_THAT(facts, SizeIs(1));
  EXPECT_EQ(facts[0].engine(), "llama.cpp");
  EXPECT_EQ(facts[0].engine_version(), "9999 (fake)");
  EXPECT_EQ(facts[0].agent_version(), "1.2.3");
  EXPECT_THAT(facts[0].engine_argv(),
              AllOf(Contains(FAKE_LLAMA_SERVER), Contains("-t"), Contains("512"), Contains("on")));
  EXPECT_GE(facts[0].load_ms(), 30);  // the fake is well after 30 ms
  EXPECT_EQ(facts[0].load_state(), "warm");
  EXPECT_GE(facts[0].background_cpu(), 0);
  EXPECT_THAT(facts[0].shortened(), SizeIs(0)) << "without power nothing was shortened";
  EXPECT_TRUE(recorder_.HasLog("engine: fake: loading"));
}

TEST_F(GenerateTest, HeldBackTokensKeepTheirIndex) {
  ASSERT_EQ(Run("held_back").outcome, v1::OUTCOME_SUCCEEDED);
  EXPECT_THAT(recorder_.tokens[0].idx(), ElementsAre(1, 3, 4, 6, 7, 9, 10));
  EXPECT_EQ(recorder_.requests()[0].n_gen(), 10);
  EXPECT_EQ(recorder_.requests()[0].idx_last(), 10);
}

TEST_F(GenerateTest, AnyPieceSizeWillDo) {
  ASSERT_EQ(Run("bytewise").outcome, v1::OUTCOME_SUCCEEDED);
  EXPECT_THAT(recorder_.tokens[0].idx(), SizeIs(10));
}

TEST_F(GenerateTest, SeveralPromptsAreRequestsOfOneRun) {
  spec_.mutable_generate()->add_prompts()->set_text("second prompt");
  ASSERT_EQ(Run("normal").outcome, v1::OUTCOME_SUCCEEDED);
  ASSERT_THAT(recorder_.requests(), SizeIs(6));
  EXPECT_EQ(recorder_.requests()[1].request(), 1);
  EXPECT_EQ(recorder_.requests()[1].n_prompt(), 13);
  EXPECT_THAT(recorder_.runs(), SizeIs(3));
}

TEST_F(GenerateTest, MissingEngineIsInfraAndSaysWhereItLooked) {
  context_.engines.clear();
  context_.engine_search = "PATH (/nowhere)";
  ExpectFailure("normal", v1::FAILURE_CLASS_INFRA,
                "looked for an executable llama-server in PATH (/nowhere)");
  context_.engines.emplace_back().set_name("llama.cpp");
  context_.engines[0].set_path("/nowhere/llama-server");
  ExpectFailure("normal", v1::FAILURE_CLASS_INFRA,
                "/nowhere/llama-server is not an executable file");
}

TEST_F(GenerateTest, CrashAtLoadIsUserWithTheLastOutput) {
  ExpectFailure("crash_at_load", v1::FAILURE_CLASS_USER,
                "llama-server ended while loading the model: exit code 3.\nLast output:\nfake: "
                "loading\nfake: invalid model");
  EXPECT_THAT(recorder_.facts(), SizeIs(1)) << "what was tried is recorded also when it failed";
}

TEST_F(GenerateTest, AnEngineThatCannotBeExecutedIsInfra) {
  ExpectFailure("missing_library", v1::FAILURE_CLASS_INFRA, "cannot be executed (exit code 127)");
}

TEST_F(GenerateTest, CrashInARunIsUserWithTheSignal) {
  ExpectFailure(
      "crash_mid", v1::FAILURE_CLASS_USER,
      "in run 1 of 3 (warm-up), prompt 1 of 1: killed by signal 11 (SIGSEGV).\nLast output:");
  EXPECT_THAT(recorder_.runs(), SizeIs(0));
  ASSERT_THAT(recorder_.requests(), SizeIs(1)) << "what came before the crash is kept";
  EXPECT_EQ(recorder_.requests()[0].idx_last(), 2);
}

TEST_F(GenerateTest, RunningOutOfMemoryIsOom) {
  ExpectFailure("oom_at_load", v1::FAILURE_CLASS_OOM, "std::bad_alloc");
  ExpectFailure("oom_mid", v1::FAILURE_CLASS_OOM, "failed to allocate buffer of size 99999");
}

TEST_F(GenerateTest, GarbageIsUserWithASample) {
  ExpectFailure("garbage_http", v1::FAILURE_CLASS_USER,
                "not HTTP (bad version); it began with: \\x7fELF this is not");
  ExpectFailure("garbage_health", v1::FAILURE_CLASS_USER, "it began with: SSH-2.0-fake");
  ExpectFailure("garbage_sse", v1::FAILURE_CLASS_USER,
                "not a JSON object: {\"content\": \"\\x01 no json");
  ExpectFailure("not_sse", v1::FAILURE_CLASS_USER, "not a server-sent event: <html>what?</html>");
  ExpectFailure("backward", v1::FAILURE_CLASS_USER, "the token index went from 2 to 1");
  ExpectFailure("no_tokens", v1::FAILURE_CLASS_USER, "without a single token");
  ExpectFailure("truncated", v1::FAILURE_CLASS_USER, "closed before the last event");
  ExpectFailure("refuse", v1::FAILURE_CLASS_USER, "HTTP status 400: request (9001 tokens) exceeds");
  ExpectFailure("error_event", v1::FAILURE_CLASS_USER, "decode failed");
}

TEST_F(GenerateTest, HangingInARunIsTimeoutByTheStallLimit) {
  const WorkloadOutcome outcome = Run("hang_mid", GenerateLimits{50'000'000, 0});
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_TIMED_OUT);
  EXPECT_EQ(outcome.failure_class, v1::FAILURE_CLASS_TIMEOUT);
  EXPECT_THAT(
      outcome.reason,
      HasSubstr("hangs in run 1 of 3 (warm-up), prompt 1 of 1: no more tokens came for 50ms (2 "));
}

TEST_F(GenerateTest, TheRunLimitIsNamed) {
  spec_.mutable_limits()->set_run_ns(100'000'000);
  const WorkloadOutcome outcome = Run("hang_mid");
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_TIMED_OUT);
  EXPECT_THAT(outcome.reason, HasSubstr("limit 'run' (100ms) passed in run 1 of 3"));
}

TEST_F(GenerateTest, ThePrepareLimitIsNamed) {
  spec_.mutable_limits()->set_prepare_ns(200'000'000);
  const WorkloadOutcome outcome = Run("hang_load");
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_TIMED_OUT);
  EXPECT_EQ(outcome.failure_class, v1::FAILURE_CLASS_TIMEOUT);
  EXPECT_THAT(outcome.reason,
              HasSubstr("limit 'prepare' (200ms) passed while llama-server was loading"));
}

TEST_F(GenerateTest, ATakenPortIsReplaced) {
  ASSERT_EQ(Run("port_taken_once").outcome, v1::OUTCOME_SUCCEEDED);
  EXPECT_THAT(journal_.all, SizeIs(2));
  ExpectFailure("port_taken", v1::FAILURE_CLASS_INFRA, "found its port taken 5 times");
}

TEST_F(GenerateTest, EnginesThatIgnoreSigtermAndTheirChildrenAreKilled) {
  ASSERT_EQ(Run("ignores_term").outcome, v1::OUTCOME_SUCCEEDED);
  ASSERT_EQ(Run("leaves_child").outcome,
            v1::OUTCOME_SUCCEEDED);  // the fixture looks for what is left
}

TEST_F(GenerateTest, StopEndsALoadARunAndAnIdleWait) {
  const auto stopped_when = [this](const char* mode, const std::function<bool()>& when) {
    stop_ = std::stop_source();
    context_.stop = stop_.get_token();
    std::thread stopper([&] {
      EXPECT_TRUE(recorder_.WaitUntil(when));
      stop_.request_stop();
    });
    const WorkloadOutcome outcome = Run(mode);
    stopper.join();
    return outcome.outcome;
  };
  EXPECT_EQ(stopped_when("hang_load", [this] { return recorder_.HasLog("fake: loading"); }),
            v1::OUTCOME_CANCELED);
  spec_.mutable_generate()->set_max_tokens(1'000'000);
  EXPECT_EQ(stopped_when("slow", [this] { return !recorder_.phases().empty(); }),
            v1::OUTCOME_CANCELED);
  EXPECT_EQ(stopped_when("hang_mid", [this] { return recorder_.phases().size() > 1; }),
            v1::OUTCOME_CANCELED);
  spec_.set_power(v1::POWER_REQUIRE_OPTIONAL);
  spec_.mutable_plan()->set_idle_ns(1000 * kSecond);
  EXPECT_EQ(stopped_when("normal", [] { return true; }), v1::OUTCOME_CANCELED);
}

TEST_F(GenerateTest, SpecsWithoutModelOrPromptAreRefused) {
  spec_.mutable_generate()->clear_prompts();
  ExpectFailure("normal", v1::FAILURE_CLASS_USER, "no prompt");
  context_.model_path.reset();
  ExpectFailure("normal", v1::FAILURE_CLASS_USER, "needs a model");
}

}  // namespace
}  // namespace joulefarm::agent
