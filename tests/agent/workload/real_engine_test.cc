// The workload `generate` against the real llama-server of $JOULEFARM_ENGINE_DIR with the models of
// $JOULEFARM_TEST_MODELS, sampled as an attempt is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <map>

#include "agent/host/engines.h"
#include "agent/host/sampler.h"
#include "agent/power/registry.h"
#include "agent/workload/generate.h"
#include "common/trace/trace_codec.h"
#include "tests/agent/workload/workload_fixture.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class RealEngineTest : public WorkloadTest {
 protected:
  void SetUp() override {
    const char* models = getenv("JOULEFARM_TEST_MODELS");
    const char* required = getenv("JOULEFARM_REQUIRE_ENGINE");
    const EngineSearch search = DefaultEngineSearch({});
    const FoundEngines found = FindEngines(search, StopFd{std::stop_token{}});
    std::string missing;
    if (found.engines.empty()) missing = "no llama-server in " + DescribeSearch(search);
    if (models == nullptr) missing = "$JOULEFARM_TEST_MODELS is not set";
    if (!missing.empty()) {
      if (required != nullptr && std::string(required) == "1") FAIL() << missing;
      GTEST_SKIP() << missing << "; deploy/test brings both";
    }
    context_.engines = found.engines;
    model_ = std::filesystem::path(models) / "tiny-q4_k_m.gguf";
    ASSERT_TRUE(std::filesystem::exists(model_)) << model_;
    context_.model_path = model_;
    v1::GenerateSpec& generate = *spec_.mutable_generate();
    generate.set_engine("llama.cpp");
    generate.add_prompts()->set_text("the power of the model is energy");
    generate.set_max_tokens(64);
    generate.set_threads(1);
    generate.set_ctx(2048);
    generate.set_temperature(0);
    generate.set_top_k(1);
    generate.set_ignore_eos(true);
    spec_.set_power(v1::POWER_REQUIRE_OPTIONAL);
  }

  std::filesystem::path model_;
};

TEST_F(RealEngineTest, GeneratesMeasuresAndRepeatsItself) {
  SamplerOptions options;
  options.period_ns = 20'000'000;
  PowerSelection power = SelectPower(WishOf(spec_), HostPaths(), PowerSettings{});
  options.power = std::move(power.sources);
  options.ranking = std::move(power.ranking);
  Sampler sampler(std::move(options), &recorder_);
  context_.on_engine = [&](std::optional<pid_t> leader) { sampler.Attach(leader); };
  context_.take_peak_rss = [&] { return sampler.TakePeakRss(); };
  sampler.Start();
  const WorkloadOutcome outcome = GenerateWorkload().Run(context_);
  sampler.Stop();
  ASSERT_EQ(outcome.outcome, v1::OUTCOME_SUCCEEDED) << outcome.reason;

  const auto runs = recorder_.runs();
  ASSERT_THAT(runs, SizeIs(3));
  for (const v1::RunDone& run : runs) {
    EXPECT_EQ(run.output_sha256(), runs[0].output_sha256()) << "greedy runs must agree";
    EXPECT_GT(run.peak_rss_bytes(),
              static_cast<std::int64_t>(std::filesystem::file_size(model_)) / 2);
  }
  for (const v1::RequestDone& request : recorder_.requests()) {
    EXPECT_EQ(request.n_gen(), 64);
    EXPECT_EQ(request.idx_last(), 64);
    EXPECT_EQ(request.n_cached(), 0);
    EXPECT_GT(request.n_prompt(), 1);
    EXPECT_EQ(request.n_evaluated(), request.n_prompt()) << "part of the prompt was not evaluated";
    EXPECT_GT(request.prompt_ms(), 0);
    EXPECT_EQ(request.stop(), "limit");
    EXPECT_LT(request.t_first_ns(), request.t_last_ns());
  }
  const auto facts = recorder_.facts();
  ASSERT_THAT(facts, SizeIs(1));
  EXPECT_GT(facts[0].load_ms(), 0);
  EXPECT_FALSE(facts[0].engine_version().empty());

  std::map<std::string, TraceSamples> samples;
  TraceDecoder decoder;
  for (const auto& [stream, chunk] : recorder_.chunks)
    ASSERT_TRUE(decoder.Decode(chunk, samples[chunk.channel()]).ok());
  ASSERT_FALSE(samples["estimated"].raw.empty());
  EXPECT_TRUE(std::is_sorted(samples["estimated"].raw.begin(), samples["estimated"].raw.end()));
  ASSERT_FALSE(samples["engine.cpu"].raw.empty());
  EXPECT_GT(samples["engine.cpu"].raw.back(), 0);
  EXPECT_FALSE(samples["engine.rss"].raw.empty());
  EXPECT_FALSE(samples["host.cpu"].raw.empty());
}

TEST_F(RealEngineTest, APromptBeyondTheContextIsTheUsersMistake) {
  std::string prompt;
  for (int i = 0; i < 3000; ++i) prompt += "energy ";
  spec_.mutable_generate()->mutable_prompts(0)->set_text(prompt);
  const WorkloadOutcome outcome = GenerateWorkload().Run(context_);
  EXPECT_EQ(outcome.failure_class, v1::FAILURE_CLASS_USER);
  EXPECT_THAT(outcome.reason, HasSubstr("exceeds the available context size"));
}

TEST_F(RealEngineTest, AModelThatIsNoneIsTheUsersMistake) {
  std::ofstream(dir_ / "no_model.gguf") << "this is no model";
  context_.model_path = dir_ / "no_model.gguf";
  const WorkloadOutcome outcome = GenerateWorkload().Run(context_);
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_FAILED);
  EXPECT_EQ(outcome.failure_class, v1::FAILURE_CLASS_USER) << outcome.reason;
  EXPECT_THAT(outcome.reason, HasSubstr("failed to load model"));
}

}  // namespace
}  // namespace joulefarm::agent
