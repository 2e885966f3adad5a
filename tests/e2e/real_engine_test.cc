// The first light with real llama.cpp: what the demo submits gives rows that add up, and a kill -9
// in the middle changes nothing about that.
#include <gmock/gmock.h>

#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/e2e/farm.h"

namespace joulefarm::e2e {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kDemo[] = "deploy/examples/demo.yaml";
const std::vector<std::string> kModels = {"tiny-f16", "tiny-q8_0", "tiny-q4_k_m"};

class RealEngineTest : public FarmTest {
 protected:
  void SetUp() override {
    const std::optional<std::string> engine = RealEngineDir();
    const char* models = std::getenv("JOULEFARM_TEST_MODELS");
    std::string missing;
    if (!engine) missing = "no llama-server in $JOULEFARM_ENGINE_DIR";
    if (models == nullptr) missing = "$JOULEFARM_TEST_MODELS is not set";
    if (!missing.empty()) {
      const char* required = std::getenv("JOULEFARM_REQUIRE_ENGINE");
      if (required != nullptr && std::string(required) == "1") FAIL() << missing;
      GTEST_SKIP() << missing << "; deploy/test brings both";
    }
    engine_ = {{"JOULEFARM_ENGINE_DIR", *engine}};
    // What these tests say of energy holds on hosts with and without sensors.
    const std::filesystem::path config = dir() / "agent.yaml";
    WriteFile(config, "power_channel: estimated\n");
    estimate_ = {"--config", config.string()};
    StartController();
    StartAgentAndWait("a", engine_, estimate_);
    for (const std::string& model : kModels) {
      const Ended pushed = RunCli({"artifact", "push", absl::StrCat(models, "/", model, ".gguf")});
      ASSERT_EQ(pushed.code, 0) << pushed.err;
    }
  }

  // Three models, three measured runs each, long enough to be killed in.
  static std::string Experiment(const std::string& more = "") {
    return absl::StrCat(
        "name: real\nworkloads:\n  chat: {kind: generate, prompts: [{text: the power of the "
        "model}], max_tokens: 256}\n"
        "matrix: {model: [tiny-f16, tiny-q8_0, tiny-q4_k_m]}\nrepetitions: 3\nwarmup: 1\n"
        "plan: {settle: 0s, idle: 0s, pause: 0s, tail: 0s}\n",
        more);
  }

  bool EngineRuns() {
    for (const std::string& stray : Strays()) {
      if (stray.find("llama-server") != std::string::npos) return true;
    }
    return false;
  }

  // In the second job, with the engine in the middle of a run.
  void AwaitTheMiddle() {
    ASSERT_TRUE(Eventually([this] {
      return Value("select count(*) from job where state = 'SUCCEEDED'") != "0" &&
             Value("select count(*) from attempt where state = 'RUNNING'") == "1" && EngineRuns();
    }));
  }

  void ExpectEveryJobOnce() {
    EXPECT_THAT(Sql("select state, count(*) from job group by 1"),
                ElementsAre(ElementsAre("SUCCEEDED", "3")));
    EXPECT_EQ(Value("select count(*) from attempt where state = 'SUCCEEDED'"), "3");
    EXPECT_THAT(Sql("select model, count(*), sum(warmup), min(n_gen), max(n_gen), count(otps) from "
                    "result group by 1 order by 1"),
                ElementsAre(ElementsAre("tiny-f16", "4", "1", "256", "256", "4"),
                            ElementsAre("tiny-q4_k_m", "4", "1", "256", "256", "4"),
                            ElementsAre("tiny-q8_0", "4", "1", "256", "256", "4")));
    // Greedy runs of one model agree, also with those of an attempt that was interrupted.
    EXPECT_EQ(Value("select count(distinct model || output_sha256) from run join attempt on fence "
                    "= attempt join job on job.id = job_id "
                    "where output_sha256 is not null"),
              "3");
    ExpectNoStrays();
    EXPECT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
  }

  Environment engine_;
  Args estimate_;
};

TEST_F(RealEngineTest, TheDemoGivesRowsThatAddUp) {
  const auto cli =
      StartCli({"submit", "-f", kDemo, "--wait", "--set", "workloads.chat.max_tokens=64"});
  const Ended ended = cli->Finish();
  ASSERT_EQ(ended.code, 0) << ended.out << ended.err;
  EXPECT_THAT(
      Sql("select model, count(*), sum(warmup), count(distinct workload) from result group "
          "by 1 order by 1"),
      ElementsAre(ElementsAre("tiny-f16", "8", "2", "2"), ElementsAre("tiny-q4_k_m", "8", "2", "2"),
                  ElementsAre("tiny-q8_0", "8", "2", "2")));
  const Rows rows =
      Sql("select n_gen, energy_j, energy_est_j, provenance, speed_quality, otps, ttft_ms, "
          "device_id, quant, load_ms, "
          "engine, peak_rss_mib, n_prompt, prefill_est_j, decode_est_j, itps, speed_method from "
          "result");
  ASSERT_EQ(rows.size(), 24u);
  for (const std::vector<std::string>& row : rows) {
    SCOPED_TRACE(absl::StrJoin(row, " "));
    const auto number = [&row](std::size_t i) {
      double value = 0;
      EXPECT_TRUE(absl::SimpleAtod(row[i], &value)) << "column " << i;
      return value;
    };
    EXPECT_EQ(row[0], "64");
    EXPECT_EQ(row[1], "NULL") << "an estimate in the column of measurements";
    EXPECT_GT(number(2), 0);
    EXPECT_EQ(row[3], "estimated");
    EXPECT_NE(row[4], "NULL");
    EXPECT_GT(number(5), 0);
    if (row[16] == "bench") {
      EXPECT_EQ(row[6], "NULL") << "llama-bench knows no time to the first token";
      EXPECT_EQ(row[12], "128");
    } else {
      EXPECT_EQ(row[16], "stream");
      EXPECT_GT(number(6), 0);
    }
    EXPECT_EQ(row[7], "a");
    EXPECT_GT(number(9), 0);
    EXPECT_EQ(row[10], "llama.cpp");
    EXPECT_GT(number(11), 10);
    EXPECT_GT(number(12), 1);
    EXPECT_NEAR(number(13) + number(14), number(2), 1e-9);
    EXPECT_GT(number(15), 0);
  }

  // The phases and what is OTHER partition each attempt: no time is counted twice and none is
  // missing.
  const Rows parts = Sql(
      "select attempt, sum(duration_s) filter (where phase is not null), sum(energy_j) filter "
      "(where phase is not null), "
      "sum(duration_s) filter (where phase is null), sum(energy_j) filter (where phase is null), "
      "count(*) filter (where phase is not null and energy_j is null) from energy where request is "
      "null and channel = 'estimated' "
      "and (phase is not null or run is null) group by attempt");
  ASSERT_EQ(parts.size(), 6u);
  for (const std::vector<std::string>& row : parts) {
    SCOPED_TRACE(absl::StrJoin(row, " "));
    std::vector<double> values;
    for (const std::string& text : row) {
      double value = 0;
      EXPECT_TRUE(absl::SimpleAtod(text, &value)) << text;
      values.push_back(value);
    }
    EXPECT_EQ(values[5], 0) << "a phase without energy";
    EXPECT_NEAR(values[1], values[3], 1e-9 * values[3]);
    EXPECT_NEAR(values[2], values[4], 1e-9 * values[4]);
  }
  EXPECT_EQ(Value("select count(*) from request where n_cached <> 0 or n_evaluated <> n_prompt"),
            "0");
  // A character's last bytes may come after the last event: the engine holds back up to three
  // tokens of it.
  EXPECT_EQ(
      Value("select count(*) from request where n_gen <> 64 or idx_last not between 61 and 64"),
      "0");
  // Repetitions of llama-bench follow each other, and are placed to a few milliseconds.
  EXPECT_EQ(Value("select count(*) from phase where bound_ns is not null"), "24");
  EXPECT_EQ(Value("select count(*) from result where speed_method = 'bench' and "
                  "abs(j_per_decode_token_est - decode_est_j / n_gen) > 1e-12"),
            "0");
  EXPECT_NE(Value("select count(*) from trace_chunk where channel = 'estimated'"), "0");
  EXPECT_NE(Value("select count(*) from result_summary where metric = 'otps' and n = 3 and n_valid "
                  "= 3 and ci_low <= mean"),
            "0");
  ExpectNoStrays();
}

TEST_F(RealEngineTest, WithoutPowerThereIsNoEnergy) {
  const Ended ended = Submit(Experiment("power: {require: none}\n"),
                             {"--wait", "--set", "matrix.model=[tiny-q4_k_m]"});
  ASSERT_EQ(ended.code, 0) << ended.out << ended.err;
  EXPECT_THAT(Sql("select count(*), count(otps), count(energy_j), count(energy_est_j), "
                  "count(energy_sim_j), count(provenance) from result"),
              ElementsAre(ElementsAre("4", "4", "0", "0", "0", "0")));
  EXPECT_EQ(Value("select count(*) from energy"), "0");
}

TEST_F(RealEngineTest, AnAgentKilledInTheMiddleChangesNothing) {
  const auto cli = StartSubmit(Experiment(), {"--wait"});
  AwaitTheMiddle();
  agent("a").Kill9();
  StartAgent("a", engine_, estimate_);
  const Ended ended = cli->Finish();
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  ExpectEveryJobOnce();
  EXPECT_EQ(Value("select count(*) from attempt where state = 'INTERRUPTED'"), "1");
  EXPECT_EQ(Value("select sum(attempts) from job"), "4");
}

TEST_F(RealEngineTest, AControllerKilledInTheMiddleChangesNothing) {
  const auto cli = StartSubmit(Experiment(), {"--wait"});
  AwaitTheMiddle();
  controller().Kill9();
  StartController();
  const Ended ended = cli->Finish();
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  ExpectEveryJobOnce();
  EXPECT_EQ(Value("select sum(attempts) from job"), "3");
  EXPECT_THAT(Sql("select attempt, run, request, count(*) as c, max(n) from token_time group by 1, "
                  "2, 3 having c <> max(n) - min(n) + 1"),
              IsEmpty());
}

TEST_F(RealEngineTest, ACancelInTheMiddleLeavesNoEngine) {
  const Ended submitted =
      Submit(Experiment(),
             {"-o", "name", "--set", "workloads.chat.max_tokens=1900", "--set", "repetitions=50"});
  ASSERT_EQ(submitted.code, 0) << submitted.err;
  ASSERT_TRUE(Eventually([this] {
    return Value("select count(*) from attempt where state = 'RUNNING'") == "1" && EngineRuns();
  }));
  EXPECT_EQ(RunCli({"experiment", "cancel", "real"}).code, 0);
  EXPECT_TRUE(Eventually(
      [this] { return Value("select count(*) from job where state = 'CANCELED'") == "3"; }));
  ExpectNoStrays();
  EXPECT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
}

}  // namespace
}  // namespace joulefarm::e2e
