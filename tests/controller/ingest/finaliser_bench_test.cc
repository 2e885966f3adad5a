// Results of runs that the engine timed itself.
#include <functional>
#include <optional>
#include <string>

#include "common/trace/chunk_writer.h"
#include "controller/ingest/finaliser.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace joulefarm::controller {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::int64_t kMs = 1'000'000;

// Two runs of llama-bench from 0 to 10 s: prompt tests of 200 ms at 1 s and 1.3 s, generation tests
// of 400 ms at 2 s and 2.5 s. A 1 kHz meter shows 10 W in tests, 2 W else.
class BenchAttempt {
 public:
  explicit BenchAttempt(std::int64_t bound_ns = 0) {
    data_.spec.set_power(v1::POWER_REQUIRE_OPTIONAL);
    data_.spec.mutable_throughput()->set_n_prompt(100);
    data_.spec.mutable_throughput()->set_n_gen(40);
    data_.final.set_started_ns(1);
    data_.final.set_ended_ns(10'000 * kMs);
    data_.final.add_last()->set_fence(7);
    Phase(v1::PHASE_IDLE_UNLOADED, 0, 500, {}, 0);
    Phase(v1::PHASE_LOAD, 500, 1000, {}, 0);
    for (int run = 0; run < 2; ++run) {
      const std::int64_t prompt_ms = 1000 + 300 * run;
      const std::int64_t gen_ms = 2000 + 500 * run;
      Phase(v1::PHASE_PREFILL, prompt_ms, prompt_ms + 200, run, bound_ns);
      Phase(v1::PHASE_DECODE, gen_ms, gen_ms + 400, run, bound_ns);
      v1::RunDone& done = *data_.events.emplace_back().mutable_run();
      done.set_run(run);
      done.set_start_ns(prompt_ms * kMs);
      done.set_end_ns((gen_ms + 400) * kMs);
      done.mutable_bench()->set_n_prompt(100);
      done.mutable_bench()->set_prompt_ns(200 * kMs);
      done.mutable_bench()->set_n_gen(40);
      done.mutable_bench()->set_gen_ns(400 * kMs);
    }
    Channel("meter", v1::QUANTITY_POWER_W, 1e-3, [](std::int64_t t) -> std::int64_t {
      const bool busy = (t >= 1000 && t < 1200) || (t >= 1300 && t < 1500) ||
                        (t >= 2000 && t < 2400) || (t >= 2500 && t < 2900);
      return busy ? 10'000 : 2'000;
    }).set_primary(true);
  }

  v1::ChannelInfo& Channel(const std::string& name, v1::Quantity quantity, double scale,
                           const std::function<std::int64_t(std::int64_t)>& raw) {
    TraceEncoder encoder;
    ChunkWriter writer(name, &encoder);
    const auto keep = [&](const std::optional<v1::TraceChunk>& chunk) {
      if (chunk) data_.chunks.push_back({0, *chunk});
    };
    for (std::int64_t t = 0; t <= 10'000; ++t) keep(writer.Add(t * kMs, raw(t)));
    keep(writer.Flush());
    v1::ChannelInfo& info = *data_.events.emplace_back().mutable_channel();
    info.set_name(name);
    info.set_quantity(quantity);
    info.set_scale(scale);
    info.set_nominal_hz(1000);
    info.set_provenance(v1::PROVENANCE_MEASURED);
    info.set_scope(v1::SCOPE_DEVICE);
    info.set_gain_u(0.01);
    info.set_offset_u(0);
    return info;
  }

  AttemptResults Finalised() const { return Finalise(data_); }

 private:
  void Phase(v1::Phase phase, std::int64_t start_ms, std::int64_t end_ms, std::optional<int> run,
             std::int64_t bound_ns) {
    v1::PhaseDone& done = *data_.events.emplace_back().mutable_phase();
    done.set_phase(phase);
    done.set_start_ns(start_ms * kMs);
    done.set_end_ns(end_ms * kMs);
    if (run) done.set_run(*run);
    if (bound_ns > 0) done.set_bound_ns(bound_ns);
  }

  AttemptData data_;
};

const EnergyResult* RowOf(const AttemptResults& results, int run, std::optional<v1::Phase> phase) {
  for (const EnergyResult& row : results.energies) {
    if (row.run == run && row.phase == phase && !row.request) return &row;
  }
  return nullptr;
}

TEST(FinaliserBenchTest, SpeedsAreTheEnginesOwn) {
  const AttemptResults results = BenchAttempt().Finalised();
  ASSERT_EQ(results.runs.size(), 2u);
  const RunResult& run = results.runs[1];
  EXPECT_EQ(run.speed_method, "bench");
  EXPECT_EQ(run.n_prompt, 100);
  EXPECT_EQ(run.n_gen, 40);
  EXPECT_DOUBLE_EQ(run.itps.value(), 500);
  EXPECT_DOUBLE_EQ(run.otps.value(), 100);
  EXPECT_EQ(run.ttft_ms, std::nullopt);
  EXPECT_EQ(run.itl_p50_ms, std::nullopt);
  EXPECT_EQ(run.n_timed, std::nullopt);
  EXPECT_EQ(run.speed_quality, v1::QUALITY_VALID);
}

TEST(FinaliserBenchTest, EnergyOfARunIsThatOfItsTwoTests) {
  const AttemptResults results = BenchAttempt().Finalised();
  const EnergyResult* whole = RowOf(results, 0, std::nullopt);
  const EnergyResult* prefill = RowOf(results, 0, v1::PHASE_PREFILL);
  const EnergyResult* decode = RowOf(results, 0, v1::PHASE_DECODE);
  ASSERT_TRUE(whole && prefill && decode);
  EXPECT_NEAR(prefill->energy_j.value(), 2.0, 0.02);
  EXPECT_NEAR(decode->energy_j.value(), 4.0, 0.02);
  // Not what was drawn while the other run's prompt test ran between them.
  EXPECT_NEAR(whole->energy_j.value(), 6.0, 0.04);
  EXPECT_DOUBLE_EQ(whole->duration_s, 0.6);
  EXPECT_EQ(whole->parts.clock_j.value_or(0), 0);
  EXPECT_THAT(whole->reasons, Not(Contains(testing::StartsWith("clock"))));
  EXPECT_EQ(whole->baseline, "idle_unloaded");
}

TEST(FinaliserBenchTest, TheBoundOfTheStampsIsInTheUncertainty) {
  // 5 ms, and power steps of 8 W at each of four edges: far more than 1 % of 6 J.
  const AttemptResults results = BenchAttempt(5 * kMs).Finalised();
  const EnergyResult* whole = RowOf(results, 0, std::nullopt);
  ASSERT_NE(whole, nullptr);
  EXPECT_NEAR(whole->energy_j.value(), 6.0, 0.04);
  EXPECT_GE(whole->parts.clock_j.value(), 4 * 8 * 0.005 * 0.99);
  EXPECT_GE(whole->energy_u_j.value(), whole->parts.clock_j.value());
  EXPECT_THAT(whole->reasons, Contains(testing::HasSubstr("%>1%")));
  EXPECT_THAT(whole->reasons, Contains(testing::StartsWith("clock:")));
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_SUSPECT);
  EXPECT_THAT(results.runs[0].quality_reasons, Contains(testing::StartsWith("energy clock:")));
  EXPECT_EQ(results.runs[0].speed_quality, v1::QUALITY_VALID);
}

TEST(FinaliserBenchTest, ATightBoundIsNoReason) {
  const AttemptResults results = BenchAttempt(100'000).Finalised();
  const EnergyResult* whole = RowOf(results, 1, std::nullopt);
  ASSERT_NE(whole, nullptr);
  EXPECT_GT(whole->parts.clock_j.value(), 0);
  EXPECT_LT(whole->parts.clock_j.value(), 0.06);
  EXPECT_THAT(whole->reasons, Not(Contains(testing::StartsWith("clock"))));
}

TEST(FinaliserBenchTest, HeatOfAnotherRunBetweenTheTestsIsNotItsOwn) {
  BenchAttempt attempt;
  attempt.Channel("zone", v1::QUANTITY_TEMPERATURE_C, 1,
                  [](std::int64_t t) { return t >= 1300 && t < 1500 ? 90 : 40; });
  const AttemptResults results = attempt.Finalised();
  EXPECT_EQ(results.runs[0].max_temp_c, 40);
  EXPECT_EQ(results.runs[1].max_temp_c, 90);
}

}  // namespace
}  // namespace joulefarm::controller
