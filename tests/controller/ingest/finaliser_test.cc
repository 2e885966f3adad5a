#include "controller/ingest/finaliser.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/controller/ingest/attempt_builder.h"

namespace joulefarm::controller {
namespace {

using attempt_builder::Attempt;
using attempt_builder::Find;
using attempt_builder::kMs;
using attempt_builder::kNone;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// Two runs of two requests each after a load, a meter, a thermometer: every number by hand.
TEST(FinaliserTest, AWholeAttempt) {
  Attempt attempt;
  attempt.generate().add_prompts()->set_text("more");
  attempt.Meter({2000, 2300, 5000, 5250}).set_offset_u(0.001);
  attempt.Phase(v1::PHASE_LOAD, 500, 1500);
  attempt.Request(0, 0, 2000);
  attempt.Request(0, 1, 2300);
  v1::RunDone& warm_up = attempt.Run(0, 2000, 2500);
  warm_up.set_warmup(true);
  warm_up.set_peak_rss_bytes(100 << 20);
  attempt.Request(1, 0, 5000);
  attempt.Request(1, 1, 5250).set_prompt_ms(90);
  attempt.Run(1, 5000, 5450);
  attempt.Channel("soc", v1::QUANTITY_TEMPERATURE_C, 0.1);
  attempt.Samples("soc", 0, 10'000, 100, [](std::int64_t t) { return t == 5400 ? 553 : 401; });
  attempt.Channel("engine.rss", v1::QUANTITY_MEMORY_BYTES, 1);
  attempt.Samples("engine.rss", 1500, 6000, 100,
                  [](std::int64_t) { return std::int64_t{150} << 20; });

  const AttemptResults results = attempt.Finalised();
  EXPECT_EQ(results.fence, 7);
  ASSERT_EQ(results.runs.size(), 2u);
  const RunResult& run = results.runs[1];
  EXPECT_EQ(run.run, 1);
  EXPECT_EQ(run.speed_method, "stream");
  EXPECT_EQ(run.n_prompt, 60);
  EXPECT_EQ(run.n_gen, 10);
  EXPECT_DOUBLE_EQ(*run.ttft_ms, 100);
  EXPECT_DOUBLE_EQ(*run.itps, 60 / 0.15);
  EXPECT_DOUBLE_EQ(*run.otps, 40);
  EXPECT_DOUBLE_EQ(*run.itl_p50_ms, 25);
  EXPECT_FALSE(run.itl_p99_ms);
  EXPECT_EQ(run.n_timed, 8);
  EXPECT_DOUBLE_EQ(*run.peak_rss_mib, 150);
  EXPECT_DOUBLE_EQ(*run.max_temp_c, 55.3);
  EXPECT_EQ(run.speed_quality, v1::QUALITY_VALID);
  EXPECT_EQ(run.energy_quality, v1::QUALITY_VALID);
  EXPECT_THAT(run.quality_reasons, IsEmpty());
  EXPECT_DOUBLE_EQ(*results.runs[0].max_temp_c, 40.1);

  // The samples rise from 2 W to 12 W in the millisecond before a prefill, fall by 5 W in its last
  // and by 5 W in decode's last.
  const EnergyResult& prefill = *Find(results, "meter", 1, 0, v1::PHASE_PREFILL);
  EXPECT_NEAR(*prefill.energy_j, 0.1 * 12 - 0.001 * 2.5, 1e-9);
  EXPECT_EQ(prefill.start_ns, 5000 * kMs);
  EXPECT_EQ(prefill.end_ns, 5100 * kMs);
  EXPECT_DOUBLE_EQ(*prefill.peak_w, 12);
  const EnergyResult& decode = *Find(results, "meter", 1, 1, v1::PHASE_DECODE);
  EXPECT_NEAR(*decode.energy_j, 0.1 * 7 - 0.001 * 2.5, 1e-9);
  EXPECT_NEAR(*decode.mean_w, 6.975, 1e-9);
  const EnergyResult& decodes = *Find(results, "meter", 1, kNone, v1::PHASE_DECODE);
  EXPECT_NEAR(*decodes.energy_j, 2 * 0.6975, 1e-9);
  EXPECT_DOUBLE_EQ(decodes.duration_s, 0.2);
  EXPECT_EQ(decodes.start_ns, 5100 * kMs);
  EXPECT_EQ(decodes.end_ns, 5450 * kMs);

  const EnergyResult& whole = *Find(results, "meter", 1, kNone, kNone);
  EXPECT_NEAR(*whole.energy_j, 2 * (1.1975 + 0.6975), 1e-9);
  EXPECT_DOUBLE_EQ(whole.duration_s, 0.4);
  EXPECT_NEAR(*whole.parts.gain_j, 0.01 * 3.79, 1e-9);
  EXPECT_NEAR(*whole.parts.offset_j, 0.0004, 1e-12);
  EXPECT_EQ(*whole.parts.clock_j, 0);
  // Inside each request two steps of 5 W between samples 1 ms apart: the rise to 12 W lies before
  // it.
  EXPECT_NEAR(*whole.parts.counter_j, std::sqrt(2 * (2 * 0.005 * 0.005) / 12), 1e-9);
  EXPECT_NEAR(*whole.energy_u_j, std::hypot(0.0379, 0.0004, *whole.parts.counter_j), 1e-9);
  EXPECT_FALSE(whole.energy_lo_j);
  EXPECT_FALSE(whole.parts.gap_j);
  EXPECT_FALSE(whole.energy_net_j);
  EXPECT_EQ(whole.quality, v1::QUALITY_VALID);

  EXPECT_NEAR(*Find(results, "meter", kNone, kNone, v1::PHASE_LOAD)->energy_j, 2, 1e-9);
  const EnergyResult& total = *Find(results, "meter", kNone, kNone, kNone);
  // 2 W for 10 s and, of each of four requests, 10 W and 5 W more with their edges.
  EXPECT_NEAR(*total.energy_j, 2 * 10 + 4 * (10 * 0.1 + 5 * 0.1), 1e-6);
  EXPECT_EQ(total.start_ns, 1);

  double sum = 0;
  for (const EnergyResult& energy : results.energies) {
    if (energy.phase && !energy.request) sum += *energy.energy_j;
  }
  EXPECT_NEAR(sum / *total.energy_j, 1, 1e-9);
  // Per run: whole, 2 phases, 2 x 2 requests; outside: whole, load, other.
  EXPECT_EQ(results.energies.size(), 2 * 7u + 3u);
}

TEST(FinaliserTest, TheSameDataGivesTheSameResults) {
  Attempt attempt;
  attempt.Meter({2000});
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  const AttemptResults first = attempt.Finalised();
  const AttemptResults again = attempt.Finalised();
  ASSERT_EQ(first.energies.size(), again.energies.size());
  for (std::size_t i = 0; i < first.energies.size(); ++i) {
    EXPECT_EQ(first.energies[i].energy_j, again.energies[i].energy_j);
    EXPECT_EQ(first.energies[i].energy_u_j, again.energies[i].energy_u_j);
  }
}

TEST(FinaliserTest, TheEstimateIsACounterAndSuspect) {
  Attempt attempt;
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  v1::ChannelInfo& info = attempt.Channel("estimated", v1::QUANTITY_ENERGY_COUNTER_J, 1e-6);
  info.set_provenance(v1::PROVENANCE_ESTIMATED);
  info.set_gain_u(0.5);
  info.set_refresh_ns(10 * kMs);
  info.set_nominal_hz(10);
  info.set_primary(true);
  // 10 W; sampling covers 300 ms to 9800 ms of the attempt.
  attempt.Samples("estimated", 300, 9800, 100, [](std::int64_t t) { return (t - 300) * 10'000; });
  const AttemptResults results = attempt.Finalised();
  const EnergyResult& whole = *Find(results, "estimated", 0, kNone, kNone);
  EXPECT_NEAR(*whole.energy_j, 2, 1e-9);
  EXPECT_NEAR(*whole.parts.gain_j, 1, 1e-9);
  // Readings not after 2.0 and 2.2 s: at those; wholly after them, one refresh later: at 2.1
  // and 2.3 s.
  EXPECT_NEAR(*whole.energy_lo_j, 1, 1e-9);
  EXPECT_NEAR(*whole.energy_hi_j, 3, 1e-9);
  EXPECT_FALSE(whole.peak_w);
  EXPECT_NEAR(*whole.mean_w, 10, 1e-9);
  EXPECT_THAT(whole.reasons, UnorderedElementsAre("counter_coarse:50%>5%", "estimated"));
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_SUSPECT);
  EXPECT_EQ(results.runs[0].speed_quality, v1::QUALITY_VALID);
  EXPECT_THAT(results.runs[0].quality_reasons,
              UnorderedElementsAre("energy counter_coarse:50%>5%", "energy estimated"));
  // 9.8 s less one refresh.
  const EnergyResult& total = *Find(results, "estimated", kNone, kNone, kNone);
  EXPECT_EQ(total.start_ns, 300 * kMs);
  EXPECT_EQ(total.end_ns, 9790 * kMs);
  EXPECT_NEAR(*total.energy_j, 94.9, 1e-9);
  EXPECT_THAT(total.reasons, UnorderedElementsAre("clipped:0.51 s>0", "estimated"));
  EXPECT_THAT(Find(results, "estimated", kNone, kNone, v1::PHASE_OTHER)->reasons,
              UnorderedElementsAre("clipped:0.51 s>0", "estimated"));
}

TEST(FinaliserTest, ProvenancesOtherThanMeasuredAreReasons) {
  for (const auto& [provenance, code] : {std::pair{v1::PROVENANCE_MODELLED, "modelled"},
                                         std::pair{v1::PROVENANCE_ESTIMATED, "estimated"},
                                         std::pair{v1::PROVENANCE_SIMULATED, "simulated"},
                                         std::pair{v1::PROVENANCE_REPLAYED, "replayed"},
                                         std::pair{v1::PROVENANCE_UNSPECIFIED, "estimated"}}) {
    Attempt attempt;
    attempt.Meter({2000}).set_provenance(provenance);
    attempt.Request(0, 0, 2000);
    attempt.Run(0, 2000, 2200);
    const AttemptResults results = attempt.Finalised();
    EXPECT_THAT(Find(results, "meter", 0, kNone, kNone)->reasons, ElementsAre(code));
    EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_SUSPECT);
  }
}

TEST(FinaliserTest, WithoutPowerThereIsNoEnergy) {
  Attempt attempt;
  attempt.data().spec.set_power(v1::POWER_REQUIRE_NONE);
  attempt.Meter({2000});
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  v1::Reason& reason = *attempt.Event().mutable_reason();
  reason.set_domain(v1::DOMAIN_ENERGY);
  reason.set_quality(v1::QUALITY_INVALID);
  reason.set_code("stream_broken");
  const AttemptResults results = attempt.Finalised();
  EXPECT_THAT(results.energies, IsEmpty());
  EXPECT_FALSE(results.runs[0].energy_quality);
  EXPECT_THAT(results.runs[0].quality_reasons, IsEmpty());
  EXPECT_TRUE(results.runs[0].otps);
}

TEST(FinaliserTest, WithoutAChannelThereIsNoEnergyGrade) {
  Attempt attempt;
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  attempt.Event().mutable_facts()->add_shortened("settle=0s<30s");
  const AttemptResults results = attempt.Finalised();
  EXPECT_THAT(results.energies, IsEmpty());
  EXPECT_FALSE(results.runs[0].energy_quality);
}

TEST(FinaliserTest, RequiredPowerMustBeMeasured) {
  Attempt attempt;
  attempt.data().spec.set_power(v1::POWER_REQUIRE_REQUIRED);
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  AttemptResults results = attempt.Finalised();
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_INVALID);
  EXPECT_THAT(results.runs[0].quality_reasons, ElementsAre("energy power_required:none<measured"));
  EXPECT_EQ(results.runs[0].speed_quality, v1::QUALITY_VALID);

  attempt.Meter({2000}).set_provenance(v1::PROVENANCE_ESTIMATED);
  results = attempt.Finalised();
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_INVALID);
  EXPECT_THAT(results.runs[0].quality_reasons,
              Contains("energy power_required:estimated<measured"));
  // The estimate itself stands.
  EXPECT_TRUE(Find(results, "meter", 0, kNone, kNone)->energy_j);

  Attempt measured;
  measured.data().spec.set_power(v1::POWER_REQUIRE_REQUIRED);
  measured.Meter({2000});
  measured.Request(0, 0, 2000);
  measured.Run(0, 2000, 2200);
  EXPECT_EQ(measured.Finalised().runs[0].energy_quality, v1::QUALITY_VALID);
}

TEST(FinaliserTest, AgentsReasonsAreMerged) {
  Attempt attempt;
  attempt.Meter({2000, 5000});
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  attempt.Request(1, 0, 5000);
  attempt.Run(1, 5000, 5200);
  v1::Reason& of_run = *attempt.Event().mutable_reason();
  of_run.set_run(1);
  of_run.set_domain(v1::DOMAIN_SPEED);
  of_run.set_quality(v1::QUALITY_SUSPECT);
  of_run.set_code("phase_not_ended");
  of_run.set_detail("decode");
  v1::Reason& of_all = *attempt.Event().mutable_reason();
  of_all.set_domain(v1::DOMAIN_ENERGY);
  of_all.set_quality(v1::QUALITY_INVALID);
  of_all.set_code("stream_broken");
  const AttemptResults results = attempt.Finalised();
  EXPECT_EQ(results.runs[0].speed_quality, v1::QUALITY_VALID);
  EXPECT_EQ(results.runs[1].speed_quality, v1::QUALITY_SUSPECT);
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_INVALID);
  EXPECT_THAT(results.runs[1].quality_reasons,
              ElementsAre("speed phase_not_ended:decode", "energy stream_broken"));
  EXPECT_EQ(Find(results, "meter", kNone, kNone, kNone)->quality, v1::QUALITY_INVALID);
}

TEST(FinaliserTest, ASettlingThatCouldNotBeJudgedIsANote) {
  Attempt attempt;
  attempt.Meter({2000});
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  v1::Reason& note = *attempt.Event().mutable_reason();
  note.set_domain(v1::DOMAIN_ENERGY);
  note.set_quality(v1::QUALITY_VALID);
  note.set_code("settle_not_judged");
  note.set_detail("temperature");
  const AttemptResults results = attempt.Finalised();
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_VALID);
  EXPECT_THAT(results.runs[0].quality_reasons, ElementsAre("energy settle_not_judged:temperature"));
}

TEST(FinaliserTest, AShortenedPlanIsAReason) {
  Attempt attempt;
  attempt.Meter({2000});
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  attempt.Event().mutable_facts()->add_shortened("settle=0s<30s");
  attempt.data().events.back().mutable_facts()->add_shortened("tail=1s<5s");
  const AttemptResults results = attempt.Finalised();
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_SUSPECT);
  EXPECT_THAT(results.runs[0].quality_reasons, ElementsAre("energy plan_shortened:settle=0s<30s",
                                                           "energy plan_shortened:tail=1s<5s"));
}

// A meter that shows 1.5 W with nothing loaded, 2 W loaded before the run and 2.4 W after it, 12 W
// in prefill and 7 W in decode; every edge lies in the middle between two samples.
v1::ChannelInfo& IdlingMeter(Attempt& attempt) {
  attempt.Samples("meter", 0, 10'000, 1, [](std::int64_t t) -> std::int64_t {
    if (t < 3000) return 1'500;
    if (t < 6000) return 2'000;
    if (t < 6100) return 12'000;
    if (t < 6200) return 7'000;
    return 2'400;
  });
  v1::ChannelInfo& info = attempt.Channel("meter", v1::QUANTITY_POWER_W, 1e-3);
  info.set_nominal_hz(1000);
  info.set_gain_u(0);
  info.set_primary(true);
  attempt.Phase(v1::PHASE_IDLE_UNLOADED, 0, 2500);
  attempt.Request(0, 0, 6000);
  attempt.Run(0, 6000, 6200);
  return info;
}

TEST(FinaliserTest, NetEnergyIsAboveTheIdleAroundTheRun) {
  Attempt attempt;
  IdlingMeter(attempt);
  attempt.Phase(v1::PHASE_IDLE_LOADED, 3000, 5500);
  attempt.Phase(v1::PHASE_IDLE_LOADED, 6500, 9000);
  const AttemptResults results = attempt.Finalised();
  const EnergyResult& prefill = *Find(results, "meter", 0, kNone, v1::PHASE_PREFILL);
  EXPECT_EQ(prefill.baseline, "idle_loaded");
  EXPECT_NEAR(*prefill.energy_net_j, *prefill.energy_j - 0.1 * 2.2, 1e-9);
  EXPECT_NEAR(*prefill.parts.baseline_j, 0.1 * 0.2, 1e-9);
  EXPECT_NEAR(*prefill.energy_net_u_j, std::hypot(*prefill.energy_u_j, 0.02), 1e-9);
  const EnergyResult& whole = *Find(results, "meter", 0, kNone, kNone);
  EXPECT_NEAR(*whole.energy_net_j, *whole.energy_j - 0.2 * 2.2, 1e-9);
  EXPECT_NEAR(*whole.parts.baseline_j, 0.2 * 0.2, 1e-9);
  EXPECT_TRUE(Find(results, "meter", 0, 0, v1::PHASE_DECODE)->energy_net_j);
  // Outside of runs the idle is part of what the row is.
  EXPECT_FALSE(Find(results, "meter", kNone, kNone, v1::PHASE_IDLE_LOADED)->energy_net_j);
  EXPECT_FALSE(Find(results, "meter", kNone, kNone, kNone)->baseline);
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_VALID);
}

TEST(FinaliserTest, WithoutALoadedIdleTheUnloadedOneIsTheBaseline) {
  Attempt attempt;
  IdlingMeter(attempt);
  const AttemptResults results = attempt.Finalised();
  const EnergyResult& whole = *Find(results, "meter", 0, kNone, kNone);
  EXPECT_EQ(whole.baseline, "idle_unloaded");
  EXPECT_NEAR(*whole.energy_net_j, *whole.energy_j - 0.2 * 1.5, 1e-9);
  // Two blocks of the same power.
  EXPECT_NEAR(*whole.parts.baseline_j, 0, 1e-9);
}

TEST(FinaliserTest, ABaselineOfOneBlockLeavesTheNetWithoutAnUncertainty) {
  Attempt attempt;
  IdlingMeter(attempt);
  attempt.Phase(v1::PHASE_IDLE_LOADED, 3500, 5000);
  const AttemptResults results = attempt.Finalised();
  const EnergyResult& whole = *Find(results, "meter", 0, kNone, kNone);
  EXPECT_EQ(whole.baseline, "idle_loaded");
  EXPECT_NEAR(*whole.energy_net_j, *whole.energy_j - 0.2 * 2, 1e-9);
  EXPECT_FALSE(whole.energy_net_u_j);
  EXPECT_FALSE(whole.parts.baseline_j);
  EXPECT_THAT(whole.reasons, ElementsAre("baseline_short:1<2"));
  EXPECT_EQ(whole.quality, v1::QUALITY_VALID);
}

TEST(FinaliserTest, EachRunHasTheIdleOfItsOwnNeighbourhood) {
  Attempt attempt;
  attempt.Samples("meter", 0, 10'000, 1, [](std::int64_t t) {
    return t < 3000 ? 2'000 : t < 6000 ? 3'000 : 6'000;
  });
  v1::ChannelInfo& info = attempt.Channel("meter", v1::QUANTITY_POWER_W, 1e-3);
  info.set_nominal_hz(1000);
  info.set_primary(true);
  attempt.Phase(v1::PHASE_IDLE_UNLOADED, 0, 500);
  attempt.Request(0, 0, 600);
  attempt.Run(0, 600, 800);
  attempt.Phase(v1::PHASE_IDLE_LOADED, 1000, 2900);
  attempt.Request(1, 0, 3100);
  attempt.Run(1, 3100, 3300);
  attempt.Phase(v1::PHASE_IDLE_LOADED, 3500, 5900);
  attempt.Request(2, 0, 6100);
  attempt.Run(2, 6100, 6300);
  const AttemptResults results = attempt.Finalised();
  const auto baseline_w = [&](int run) {
    const EnergyResult& row = *Find(results, "meter", run, kNone, kNone);
    return (*row.energy_j - *row.energy_net_j) / row.duration_s;
  };
  EXPECT_NEAR(baseline_w(0), 2, 1e-9);    // only the one after
  EXPECT_NEAR(baseline_w(1), 2.5, 1e-9);  // 2 W before, 3 W after
  EXPECT_NEAR(baseline_w(2), 3, 1e-9);    // only the one before
}

TEST(FinaliserTest, ANetBelowTheBaselineIsNegativeAlsoOfACounter) {
  Attempt attempt;
  attempt.Phase(v1::PHASE_IDLE_UNLOADED, 0, 3000);
  attempt.Request(0, 0, 6000);
  attempt.Run(0, 6000, 6200);
  v1::ChannelInfo& info = attempt.Channel("rail", v1::QUANTITY_ENERGY_COUNTER_J, 1e-6);
  info.set_primary(true);
  // 5 W until 5 s, then 3 W.
  attempt.Samples("rail", 0, 10'000, 10, [](std::int64_t t) {
    return t < 5000 ? t * 5'000 : 25'000'000 + (t - 5000) * 3'000;
  });
  const AttemptResults results = attempt.Finalised();
  const EnergyResult& whole = *Find(results, "rail", 0, kNone, kNone);
  EXPECT_NEAR(*whole.energy_j, 0.6, 1e-9);
  EXPECT_NEAR(*whole.energy_net_j, 0.6 - 0.2 * 5, 1e-9);
  EXPECT_NEAR(*whole.parts.baseline_j, 0, 1e-9);
  EXPECT_EQ(whole.baseline, "idle_unloaded");
}

TEST(FinaliserTest, AMeterInFrontOfABatteryMeasuresTheCharger) {
  for (const auto& [path, scope, quality] :
       {std::tuple{"inline_battery_present", v1::SCOPE_DEVICE, v1::QUALITY_INVALID},
        std::tuple{"inline_battery_present", v1::SCOPE_PACKAGE, v1::QUALITY_VALID},
        std::tuple{"inline_battery_removed", v1::SCOPE_DEVICE, v1::QUALITY_VALID}}) {
    Attempt attempt;
    attempt.Meter({2000}).set_scope(scope);
    attempt.Request(0, 0, 2000);
    attempt.Run(0, 2000, 2200);
    attempt.Event().mutable_facts()->set_power_path(path);
    const AttemptResults results = attempt.Finalised();
    EXPECT_EQ(results.runs[0].energy_quality, quality) << path << " " << scope;
    EXPECT_THAT(results.runs[0].quality_reasons,
                quality == v1::QUALITY_VALID
                    ? testing::Matcher<const std::vector<std::string>&>(IsEmpty())
                    : ElementsAre("energy battery_in_path:no gauge"));
  }
}

TEST(FinaliserTest, FactsMayComeInSeveralEvents) {
  Attempt attempt;
  attempt.Meter({2000});
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  attempt.Event().mutable_facts()->add_shortened("settle=0s<30s");
  attempt.Event().mutable_facts()->set_power_path("supply");
  EXPECT_THAT(attempt.Finalised().runs[0].quality_reasons,
              ElementsAre("energy plan_shortened:settle=0s<30s"));
}

TEST(FinaliserTest, GreedyRunsMustAgree) {
  Attempt attempt;
  for (int run = 0; run < 3; ++run) {
    attempt.Request(run, 0, 2000 + 1000 * run);
    attempt.Run(run, 2000 + 1000 * run, 2200 + 1000 * run)
        .set_output_sha256(run == 2 ? "bb" : "aa");
  }
  EXPECT_THAT(attempt.Finalised().runs[0].quality_reasons, ElementsAre("speed output_differs:2>1"));
  EXPECT_EQ(attempt.Finalised().runs[2].speed_quality, v1::QUALITY_SUSPECT);
  // With sampling they may differ.
  attempt.generate().set_temperature(0.8);
  EXPECT_EQ(attempt.Finalised().runs[2].speed_quality, v1::QUALITY_VALID);
}

TEST(FinaliserTest, GreedyRunsMustAgreeWithEarlierOnesOfTheSameWork) {
  Attempt attempt;
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200).set_output_sha256("aa");
  attempt.Earlier(7, "aa");
  EXPECT_THAT(attempt.Finalised().runs[0].quality_reasons, IsEmpty());
  attempt.Earlier(7, "bb");
  EXPECT_THAT(attempt.Finalised().runs[0].quality_reasons,
              ElementsAre("speed output_differs:attempt 7"));
  attempt.generate().set_temperature(0.8);
  EXPECT_THAT(attempt.Finalised().runs[0].quality_reasons, IsEmpty());
}

TEST(FinaliserTest, ABusyMachineIsAReason) {
  Attempt attempt;
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  attempt.Request(1, 0, 6000);
  attempt.Run(1, 6000, 6200);
  attempt.Channel("background.cpu", v1::QUANTITY_UTILISATION, 0.01);
  attempt.Samples("background.cpu", 0, 10'000, 100,
                  [](std::int64_t t) { return t < 4000 ? 10 : 42; });
  const AttemptResults results = attempt.Finalised();
  EXPECT_THAT(results.runs[0].quality_reasons, IsEmpty());
  EXPECT_EQ(results.runs[0].speed_quality, v1::QUALITY_VALID);
  EXPECT_THAT(results.runs[1].quality_reasons, ElementsAre("speed background_cpu:42%>10%"));
  EXPECT_EQ(results.runs[1].speed_quality, v1::QUALITY_SUSPECT);
  // What a server that ran already uses cannot be told from what others do.
  attempt.generate().set_engine("openai");
  EXPECT_THAT(attempt.Finalised().runs[1].quality_reasons, IsEmpty());
  attempt.generate().add_server("llama-server");
  EXPECT_THAT(attempt.Finalised().runs[1].quality_reasons,
              ElementsAre("speed background_cpu:42%>10%"));
  // On another host it uses nothing of this one.
  attempt.generate().clear_server();
  attempt.Event().mutable_reason()->set_code("engine_elsewhere");
  EXPECT_THAT(attempt.Finalised().runs[1].quality_reasons,
              Contains("speed background_cpu:42%>10%"));
}

TEST(FinaliserTest, TheEnergyOfAnotherHostIsNotTheEngines) {
  Attempt attempt;
  attempt.Meter({2000});
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  v1::Reason& reason = *attempt.Event().mutable_reason();
  reason.set_domain(v1::DOMAIN_ENERGY);
  reason.set_quality(v1::QUALITY_INVALID);
  reason.set_code("engine_elsewhere");
  reason.set_detail("10.0.0.7:8000");
  const AttemptResults results = attempt.Finalised();
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_INVALID);
  EXPECT_EQ(results.runs[0].speed_quality, v1::QUALITY_VALID);
  EXPECT_THAT(results.runs[0].quality_reasons,
              ElementsAre("energy engine_elsewhere:10.0.0.7:8000"));
}

TEST(FinaliserTest, TheHottestZoneAroundAShortRun) {
  Attempt attempt;
  attempt.Run(0, 2'100, 2'300);
  attempt.Request(0, 0, 2'100);
  for (const auto& [name, hottest] :
       {std::pair("temp.cpu", 61'000), std::pair("temp.gpu", 58'500)}) {
    attempt.Channel(name, v1::QUANTITY_TEMPERATURE_C, 1e-3).set_nominal_hz(1);
    attempt.Samples(name, 0, 10'000, 1'000, [&, top = hottest](std::int64_t t) -> std::int64_t {
      if (t == 3'000) return top;
      return t == 5'000 ? 90'000 : 40'000;
    });
  }
  const AttemptResults results = attempt.Finalised();
  ASSERT_EQ(results.runs.size(), 1U);
  EXPECT_EQ(results.runs[0].max_temp_c, 61) << "not what came seconds later";
}

TEST(FinaliserTest, ThrottledRunsAreSuspectAndWhatCannotBeReadClaimsNothing) {
  Attempt attempt;
  attempt.Run(0, 2'000, 2'200);
  attempt.Request(0, 0, 2'000);
  attempt.Run(1, 6'000, 6'200);
  attempt.Request(1, 0, 6'000);
  attempt.Meter({2'000, 6'000});
  EXPECT_EQ(attempt.Finalised().runs[0].speed_quality, v1::QUALITY_VALID);
  attempt.Channel("throttle.cpu", v1::QUANTITY_UNSPECIFIED, 1);
  attempt.Samples("throttle.cpu", 100, 9'100, 1'000,
                  [](std::int64_t t) -> std::int64_t { return t > 2'100 ? 107 : 100; });
  AttemptResults results = attempt.Finalised();
  EXPECT_EQ(results.runs[0].speed_quality, v1::QUALITY_SUSPECT);
  EXPECT_THAT(results.runs[0].quality_reasons, Contains("speed throttled:7>0"));
  EXPECT_THAT(results.runs[0].quality_reasons, Contains("energy throttled:7>0"));
  EXPECT_EQ(results.runs[1].speed_quality, v1::QUALITY_VALID) << "it was cool again";
  attempt.Channel("cooling.Processor.0", v1::QUANTITY_UNSPECIFIED, 1);
  attempt.Samples("cooling.Processor.0", 100, 9'100, 1'000,
                  [](std::int64_t t) -> std::int64_t { return t > 6'000 && t < 7'000 ? 2 : 0; });
  results = attempt.Finalised();
  EXPECT_THAT(results.runs[1].quality_reasons, Contains("speed throttled:state 2>0"));
}

TEST(FinaliserTest, ABatteryThatDoesNotFeedTheDeviceMeasuresNothingOfIt) {
  Attempt attempt;
  attempt.Run(0, 2'000, 2'200);
  attempt.Request(0, 0, 2'000);
  attempt.Run(1, 6'000, 6'200);
  attempt.Request(1, 0, 6'000);
  v1::ChannelInfo& battery = attempt.Channel("BAT0", v1::QUANTITY_POWER_W, 1e-3);
  battery.set_scope(v1::SCOPE_BATTERY);
  battery.set_primary(true);
  battery.set_nominal_hz(100);
  attempt.Samples("BAT0", 0, 10'000, 10, [](std::int64_t t) -> std::int64_t {
    return (t < 4'000 ? 5'000 : -20'000) + t / 10 % 2;  // it refreshes
  });
  const AttemptResults results = attempt.Finalised();
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_VALID);
  EXPECT_EQ(results.runs[1].energy_quality, v1::QUALITY_INVALID);
  EXPECT_THAT(results.runs[1].quality_reasons, Contains("energy not_discharging:-20 W<=0"));
}

TEST(FinaliserTest, AGaugeThatRefreshesSlowlySaysNothingOfAShortRun) {
  Attempt attempt;
  attempt.Run(0, 4'000, 4'200);
  attempt.Request(0, 0, 4'000);
  v1::ChannelInfo& battery = attempt.Channel("BAT0", v1::QUANTITY_POWER_W, 1e-3);
  battery.set_scope(v1::SCOPE_BATTERY);
  battery.set_primary(true);
  battery.set_nominal_hz(100);
  attempt.Samples("BAT0", 0, 10'000, 10,
                  [](std::int64_t t) -> std::int64_t { return 5'000 + t / 1'000 % 3 * 700; });
  const AttemptResults results = attempt.Finalised();
  const EnergyResult* run = Find(results, "BAT0", 0, std::nullopt, std::nullopt);
  ASSERT_NE(run, nullptr);
  EXPECT_FALSE(run->energy_j);
  EXPECT_EQ(run->quality, v1::QUALITY_INVALID);
  EXPECT_THAT(run->reasons, Contains(testing::StartsWith("smoothing:")));
  const EnergyResult* whole = Find(results, "BAT0", std::nullopt, std::nullopt, std::nullopt);
  ASSERT_NE(whole, nullptr);
  EXPECT_TRUE(whole->energy_j) << "a second matters less to ten";
}

TEST(FinaliserTest, AGaugeThatHardlyEverRefreshesSaysNothingOfARun) {
  const auto run_of = [](std::int64_t changes_every_ms) {
    Attempt attempt;
    attempt.Run(0, 4'000, 4'200);
    attempt.Request(0, 0, 4'000);
    v1::ChannelInfo& battery = attempt.Channel("BAT0", v1::QUANTITY_POWER_W, 1e-3);
    battery.set_scope(v1::SCOPE_BATTERY);
    battery.set_primary(true);
    battery.set_nominal_hz(100);
    attempt.Samples("BAT0", 0, 10'000, 10, [=](std::int64_t t) -> std::int64_t {
      return 5'000 + t / changes_every_ms % 3 * 700;
    });
    return *Find(attempt.Finalised(), "BAT0", 0, std::nullopt, std::nullopt);
  };
  for (const std::int64_t every_ms : {3'000, 6'000}) {
    const EnergyResult run = run_of(every_ms);
    EXPECT_FALSE(run.energy_j) << every_ms;
    EXPECT_THAT(run.reasons, Contains(testing::StartsWith("smoothing:"))) << every_ms;
  }
  const EnergyResult never = run_of(20'000);
  EXPECT_FALSE(never.energy_j);
  EXPECT_THAT(never.reasons, Contains("smoothing:0 changes<1"));
}

TEST(FinaliserTest, AnAveragingMeterSaysNothingOfPhasesShorterThanItsAverage) {
  Attempt attempt;
  attempt.Run(0, 4'000, 4'200);
  attempt.Request(0, 0, 4'000);
  attempt.Meter({4'000}).set_refresh_ns(1'000 * kMs);
  const AttemptResults results = attempt.Finalised();
  const EnergyResult* run = Find(results, "meter", 0, std::nullopt, std::nullopt);
  EXPECT_FALSE(run->energy_j);
  EXPECT_THAT(run->reasons, Contains(testing::StartsWith("smoothing:")));
  const EnergyResult* whole = Find(results, "meter", std::nullopt, std::nullopt, std::nullopt);
  EXPECT_TRUE(whole->energy_j) << "its edges are far from any step";
}

TEST(FinaliserTest, ASuspendInsideARunIsInvalid) {
  Attempt attempt;
  attempt.Meter({2000, 8000});
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  attempt.Request(1, 0, 8000);
  attempt.Run(1, 8000, 8200);
  // 1.5 s of sleep between 1 s and 3 s, 50 ms of jitter after that.
  for (const auto& [boot_ms, slept_ms] :
       {std::pair{0, 0}, std::pair{1000, 0}, std::pair{3000, 1500}, std::pair{9000, 1550}}) {
    v1::ClockSnapshot& clock = *attempt.Event().mutable_clock();
    clock.set_boottime_ns(boot_ms * kMs);
    clock.set_monotonic_ns((boot_ms - slept_ms) * kMs);
  }
  const AttemptResults results = attempt.Finalised();
  EXPECT_THAT(results.runs[0].quality_reasons,
              ElementsAre("speed suspended:1.5 s>0.1 s", "energy suspended:1.5 s>0.1 s"));
  EXPECT_EQ(results.runs[0].speed_quality, v1::QUALITY_INVALID);
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_INVALID);
  EXPECT_THAT(results.runs[1].quality_reasons, IsEmpty());
  EXPECT_EQ(Find(results, "meter", kNone, kNone, kNone)->quality, v1::QUALITY_INVALID);
}

TEST(FinaliserTest, DroppedChunksAreLossesAndGaps) {
  Attempt attempt;
  attempt.Meter({2000, 5000});
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  attempt.Request(1, 0, 5000);
  attempt.Run(1, 5000, 5200);
  // The spool was full around the first run's end.
  for (AttemptData::Chunk& chunk : attempt.data().chunks) {
    if (chunk.chunk.t1_ns() < 2150 * kMs || chunk.chunk.t0_ns() > 2190 * kMs) continue;
    chunk.chunk.clear_data();
    chunk.chunk.set_gap(true);
  }
  const AttemptResults results = attempt.Finalised();
  const EnergyResult& whole = *Find(results, "meter", 0, kNone, kNone);
  EXPECT_FALSE(whole.energy_j);
  EXPECT_FALSE(whole.energy_u_j);
  EXPECT_THAT(whole.reasons, Contains(testing::StartsWith("gap_at_edge:")));
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_INVALID);
  EXPECT_EQ(results.runs[1].energy_quality, v1::QUALITY_VALID);
  EXPECT_EQ(results.runs[0].speed_quality, v1::QUALITY_VALID);
}

TEST(FinaliserTest, LossesAChunkReportsAreCounted) {
  Attempt attempt;
  attempt.Meter({2000});
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  for (AttemptData::Chunk& chunk : attempt.data().chunks) {
    if (chunk.chunk.t0_ns() <= 2100 * kMs && chunk.chunk.t1_ns() >= 2100 * kMs)
      chunk.chunk.set_lost(50);
  }
  const AttemptResults results = attempt.Finalised();
  EXPECT_THAT(Find(results, "meter", 0, kNone, kNone)->reasons,
              ElementsAre(testing::StartsWith("loss:")));
}

TEST(FinaliserTest, DamagedChunksAreReportedAndCountAsLost) {
  Attempt attempt;
  attempt.Meter({2000});
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  v1::TraceChunk& chunk = attempt.data().chunks.back().chunk;
  chunk.set_data(chunk.data().substr(0, chunk.data().size() / 2));
  const AttemptResults results = attempt.Finalised();
  const EnergyResult& whole = *Find(results, "meter", 0, kNone, kNone);
  EXPECT_TRUE(whole.energy_j);
  EXPECT_THAT(whole.reasons, ElementsAre("trace_damaged:1>0"));
}

TEST(FinaliserTest, OverlappingPhasesAreReported) {
  Attempt attempt;
  attempt.Meter({2000});
  attempt.Phase(v1::PHASE_LOAD, 1000, 2050);
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  const AttemptResults results = attempt.Finalised();
  EXPECT_THAT(results.runs[0].quality_reasons, ElementsAre("energy phase_overlap:0.05 s>0"));
  EXPECT_EQ(Find(results, "meter", 0, kNone, v1::PHASE_PREFILL)->start_ns, 2050 * kMs);
}

TEST(FinaliserTest, WhatOnlyAPhaseLacksIsReportedBesideTheGrade) {
  Attempt attempt;
  // 100 Hz: 10 samples in either phase, 20 in the run; shorten the prefill to 40 ms.
  v1::ChannelInfo& info = attempt.Channel("meter", v1::QUANTITY_POWER_W, 1);
  info.set_nominal_hz(100);
  info.set_primary(true);
  attempt.Samples("meter", 0, 10'000, 10, [](std::int64_t) { return 5; });
  attempt.Request(0, 0, 2000);
  attempt.data().events[1].mutable_phase()->set_start_ns(2060 * kMs);
  attempt.Run(0, 2000, 2200);
  const AttemptResults results = attempt.Finalised();
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_VALID);
  EXPECT_THAT(results.runs[0].quality_reasons, ElementsAre("energy.prefill few_samples:4<10"));
  EXPECT_EQ(Find(results, "meter", 0, kNone, v1::PHASE_PREFILL)->quality, v1::QUALITY_SUSPECT);
  EXPECT_NEAR(*Find(results, "meter", 0, kNone, kNone)->energy_j, 5 * 0.14, 1e-9);
}

TEST(FinaliserTest, ACommandWithPhases) {
  Attempt attempt;
  attempt.data().spec.mutable_command()->add_argv("prog");
  attempt.Meter({2000});
  attempt.Phase(v1::PHASE_PREFILL, 2000, 2100).set_run(0);
  attempt.Phase(v1::PHASE_DECODE, 2100, 2200).set_run(0);
  attempt.Run(0, 1900, 2500).set_peak_rss_bytes(64 << 20);
  const AttemptResults results = attempt.Finalised();
  const RunResult& run = results.runs[0];
  EXPECT_FALSE(run.speed_method);
  EXPECT_FALSE(run.otps);
  EXPECT_FALSE(run.n_gen);
  EXPECT_FALSE(run.n_timed);
  EXPECT_FALSE(run.speed_quality);
  EXPECT_EQ(run.energy_quality, v1::QUALITY_VALID);
  EXPECT_DOUBLE_EQ(*run.peak_rss_mib, 64);
  EXPECT_NEAR(*Find(results, "meter", 0, kNone, v1::PHASE_PREFILL)->energy_j, 1.1975, 1e-9);
  EXPECT_NEAR(*Find(results, "meter", 0, kNone, kNone)->energy_j, 1.1975 + 0.6975, 1e-9);
}

TEST(FinaliserTest, ACommandWithoutPhasesIsMeasuredFromStartToEnd) {
  Attempt attempt;
  attempt.data().spec.mutable_command()->add_argv("prog");
  attempt.Meter();
  attempt.Run(0, 1900, 2500);
  const AttemptResults results = attempt.Finalised();
  EXPECT_NEAR(*Find(results, "meter", 0, kNone, kNone)->energy_j, 1.2, 1e-9);
}

TEST(FinaliserTest, ACommandThatReportsTokensHasASpeed) {
  Attempt attempt;
  attempt.data().spec.mutable_command()->add_argv("prog");
  v1::RequestDone& done = attempt.Request(0, 0, 2000);
  done.clear_n_prompt();
  done.clear_n_evaluated();
  done.clear_n_cached();
  done.clear_prompt_ms();
  attempt.Run(0, 2000, 2200);
  const RunResult run = attempt.Finalised().runs[0];
  EXPECT_EQ(run.speed_method, "stream");
  EXPECT_DOUBLE_EQ(*run.otps, 40);
  EXPECT_FALSE(run.itps);
  EXPECT_THAT(run.quality_reasons, ElementsAre("speed prompt_unverified:1>0"));
}

TEST(FinaliserTest, WhatACommandReportsOfItsSpeedIsItsSpeed) {
  Attempt attempt;
  attempt.data().spec.mutable_command()->add_argv("prog");
  attempt.Run(0, 2000, 2200);
  attempt.Run(1, 2300, 2500);
  const auto report = [&](int run, const char* name, double value, const char* unit) {
    v1::Metric& metric = attempt.data().metrics.emplace_back();
    metric.set_run(run);
    metric.set_name(name);
    metric.set_value(value);
    metric.set_unit(unit);
  };
  report(0, "otps", 10, "1/s");
  report(0, "otps", 14, "");
  report(0, "ttft_ms", 0.2, "s");  // not the column's unit
  report(0, "itps", -1, "1/s");
  report(0, "energy_j", 5, "J");
  report(1, "score", 1, "");
  const AttemptResults results = attempt.Finalised();
  const RunResult& run = results.runs[0];
  EXPECT_EQ(run.speed_method, "reported");
  EXPECT_DOUBLE_EQ(*run.otps, 12);
  EXPECT_FALSE(run.ttft_ms);
  EXPECT_FALSE(run.itps);
  EXPECT_FALSE(run.speed_quality);  // nothing that could be checked
  EXPECT_FALSE(results.runs[1].speed_method);
}

TEST(FinaliserTest, ACommandThatReportsTokensIsNotTakenAtItsWord) {
  Attempt attempt;
  attempt.data().spec.mutable_command()->add_argv("prog");
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  v1::Metric& metric = attempt.data().metrics.emplace_back();
  metric.set_run(0);
  metric.set_name("otps");
  metric.set_value(1e6);
  const RunResult run = attempt.Finalised().runs[0];
  EXPECT_EQ(run.speed_method, "stream");
  EXPECT_DOUBLE_EQ(*run.otps, 40);
}

TEST(FinaliserTest, OtherChannelsHaveRowsOfTheirOwn) {
  Attempt attempt;
  attempt.Meter({2000});
  attempt.Channel("rail", v1::QUANTITY_POWER_W, 1).set_parent("meter");
  attempt.Samples("rail", 0, 10'000, 10, [](std::int64_t) { return 1; });
  attempt.Channel("host.cpu", v1::QUANTITY_UTILISATION, 1e-4);
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  const AttemptResults results = attempt.Finalised();
  const EnergyResult& rail = *Find(results, "rail", 0, kNone, kNone);
  EXPECT_NEAR(*rail.energy_j, 0.2, 1e-9);
  for (const EnergyResult& energy : results.energies) EXPECT_NE(energy.channel, "host.cpu");
  // The run's grade is that of its primary channel.
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_VALID);
}

TEST(FinaliserTest, AChannelWithoutSamplesHasRowsWithoutEnergy) {
  Attempt attempt;
  attempt.Channel("meter", v1::QUANTITY_POWER_W, 1e-3).set_primary(true);
  attempt.Request(0, 0, 2000);
  attempt.Run(0, 2000, 2200);
  AttemptResults results = attempt.Finalised();
  EXPECT_FALSE(Find(results, "meter", 0, kNone, kNone)->energy_j);
  EXPECT_THAT(results.runs[0].quality_reasons, ElementsAre("energy no_samples:0<2"));
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_INVALID);

  // A scale that was never set must not make 0 J of a trace.
  Attempt unscaled;
  unscaled.Meter({2000}).set_scale(0);
  unscaled.Request(0, 0, 2000);
  unscaled.Run(0, 2000, 2200);
  results = unscaled.Finalised();
  EXPECT_FALSE(Find(results, "meter", 0, kNone, kNone)->energy_j);
}

TEST(FinaliserTest, ARunWithoutAnEndHasNoResult) {
  Attempt attempt;
  attempt.Meter({2000});
  attempt.Request(0, 0, 2000);
  const AttemptResults results = attempt.Finalised();
  EXPECT_THAT(results.runs, IsEmpty());
  EXPECT_NEAR(*Find(results, "meter", kNone, kNone, v1::PHASE_PREFILL)->energy_j, 1.1975, 1e-9);
}

TEST(FinaliserTest, AFinalFromAnotherBootDoesNotStretchTheAttempt) {
  Attempt attempt;
  attempt.Meter({2000});
  attempt.Phase(v1::PHASE_LOAD, 1000, 1500);
  attempt.data().final.set_started_ns(99'000'000 * kMs);
  attempt.data().final.set_ended_ns(99'000'000 * kMs);
  const AttemptResults results = attempt.Finalised();
  EXPECT_EQ(Find(results, "meter", kNone, kNone, kNone)->end_ns, 1500 * kMs);
}

TEST(FinaliserTest, NothingGivesNothing) {
  const AttemptResults results = Finalise(AttemptData{});
  EXPECT_EQ(results.fence, 0);
  EXPECT_THAT(results.runs, IsEmpty());
  EXPECT_THAT(results.energies, IsEmpty());
}

}  // namespace
}  // namespace joulefarm::controller
