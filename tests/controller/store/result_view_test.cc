// View `result`, column by column against numbers computed by hand.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

class ResultViewTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = OpenStore(path_);
    ASSERT_NE(store_, nullptr);
    AddLeasedJob(*store_);
  }

  // An attempt with the given primary channel, a clock, one run 0 (warm-up) and one run 1 of two
  // requests.
  void Frames(std::optional<v1::Provenance> provenance) {
    std::vector<v1::Event> events(6);
    v1::AttemptFacts* facts = events[0].mutable_facts();
    facts->set_engine("llama.cpp");
    facts->set_engine_version("b7");
    facts->set_load_ms(310);
    facts->set_load_state("warm");
    v1::ClockSnapshot* clock = events[1].mutable_clock();
    clock->set_boottime_ns(1'000'000'000);
    clock->set_realtime_ns(1'700'000'000'000'000'000);
    for (int run = 0; run < 2; ++run) {
      v1::RunDone* done = events[2 + run].mutable_run();
      done->set_run(run);
      done->set_warmup(run == 0);
      done->set_start_ns(3'250'000'000);
      done->set_end_ns(9'000'000'000);
    }
    for (int request = 0; request < 2; ++request) {
      v1::RequestDone* done = events[4 + request].mutable_request();
      done->set_run(1);
      done->set_request(request);
      done->set_n_gen(request == 0 ? 9 : 5);
    }
    if (provenance) {
      v1::ChannelInfo* channel = events.emplace_back().mutable_channel();
      channel->set_name("main");
      channel->set_quantity(v1::QUANTITY_POWER_W);
      channel->set_scope(v1::SCOPE_PACKAGE);
      channel->set_provenance(*provenance);
      channel->set_primary(true);
      v1::ChannelInfo* part = events.emplace_back().mutable_channel();
      part->set_name("part");
      part->set_provenance(v1::PROVENANCE_MEASURED);
    }
    auto outcome = store_->Ingest({MakeFrame(1, v1::STREAM_EVENT, 1, EventsOf(events))});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    ASSERT_EQ(outcome->response.rejected_size(), 0);
  }

  static EnergyResult Energy(std::optional<v1::Phase> phase, double joules, double u) {
    EnergyResult energy;
    energy.channel = "main";
    energy.run = 1;
    energy.phase = phase;
    energy.duration_s = 4;
    energy.energy_j = joules;
    energy.energy_u_j = u;
    return energy;
  }

  // n_prompt 20, n_gen 14, so Σ(n_r − 1) = 12; prefill 4 ± 1 J, decode 24 ± 6 J, both 28 ± 6.5 J.
  static AttemptResults Numbers() {
    AttemptResults results;
    results.fence = 1;
    RunResult warmup;
    results.runs.push_back(warmup);
    RunResult run;
    run.run = 1;
    run.speed_method = "stream";
    run.n_prompt = 20;
    run.n_gen = 14;
    run.ttft_ms = 84.1;
    run.itps = 738;
    run.otps = 402.5;
    run.itl_p50_ms = 2.5;
    run.peak_rss_mib = 96;
    run.speed_quality = v1::QUALITY_VALID;
    run.energy_quality = v1::QUALITY_SUSPECT;
    run.quality_reasons = {"energy clock:4.1%>1%"};
    results.runs.push_back(run);
    EnergyResult whole = Energy(std::nullopt, 28, 6.5);
    whole.energy_net_j = 8;
    whole.energy_net_u_j = 7;
    whole.baseline = "idle_loaded";
    whole.peak_w = 9.5;
    results.energies = {whole, Energy(v1::PHASE_PREFILL, 4, 1), Energy(v1::PHASE_DECODE, 24, 6)};
    // None of these may find its way into the view.
    EnergyResult other = Energy(v1::PHASE_DECODE, 1000, 1);
    other.channel = "part";
    EnergyResult request = Energy(v1::PHASE_DECODE, 2000, 1);
    request.request = 0;
    EnergyResult attempt = Energy(std::nullopt, 3000, 1);
    attempt.run = std::nullopt;
    results.energies.insert(results.energies.end(), {other, request, attempt});
    return results;
  }

  void Accept(const AttemptResults& results) {
    Job job = MakeJob(1);
    job.state = v1::JOB_STATE_SUCCEEDED;
    job.accepted_fence = 1;
    ASSERT_TRUE(store_->Commit({results, job}).ok());
  }
  std::string Run1(const std::string& columns) {
    return Query(path_, absl::StrCat("SELECT ", columns, " FROM result WHERE run = 1"));
  }

  TempDir dir_;
  const std::string path_ = dir_.File("farm.db");
  std::unique_ptr<SqliteStore> store_;
};

constexpr char kFamily[] =
    "energy{0}_j energy{0}_u_j energy_net{0}_j energy_net{0}_u_j prefill{0}_j decode{0}_j "
    "j_per_prompt_token{0} j_per_prompt_token{0}_u j_per_decode_token{0} j_per_decode_token{0}_u "
    "j_per_output_token_e2e{0} j_per_output_token_e2e{0}_u mean{0}_w peak{0}_w";

// The columns of a provenance family, in the order of the view.
std::string Family(const std::string& infix, const std::string& separator) {
  std::string out;
  for (const char* c = kFamily; *c != '\0'; ++c) {
    if (*c == '{') {
      // The label stands before the unit: energy_u_j becomes energy_est_u_j.
      out += infix;
      c += 2;
    } else if (*c == ' ') {
      out += separator;
    } else {
      out += *c;
    }
  }
  return out;
}

constexpr char kNumbers[] =
    "28.0|6.5|8.0|7.0|4.0|24.0|0.2|0.05|2.0|0.5|2.0|0.464285714285714|7.0|9.5";
constexpr char kNulls[] = "NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL";

TEST_F(ResultViewTest, TheColumnsAreThoseOfTheInterfaceInTheirOrder) {
  const std::string expected = absl::StrCat(
      "experiment,cell,workload,job_id,attempt,block,run,warmup,device_id,model,model_sha256,quant,"
      "engine,engine_version,params,"
      "started,speed_method,n_prompt,n_gen,load_ms,load_state,ttft_ms,itps,otps,itl_p50_ms,itl_p99_"
      "ms,",
      Family("", ","), ",", Family("_est", ","), ",", Family("_sim", ","),
      ",energy_channel,energy_scope,provenance,baseline,peak_rss_mib,max_temp_c,speed_quality,"
      "energy_quality,quality_reasons,energy_mwh,energy_mah,prompts_per_battery,energy_est_mwh,"
      "energy_est_mah,prompts_per_battery_est,energy_sim_mwh,energy_sim_mah,"
      "prompts_per_battery_sim,mean_v");
  EXPECT_EQ(Query(path_, "SELECT group_concat(name) FROM pragma_table_info('result')"), expected);
}

TEST_F(ResultViewTest, PlainColumns) {
  Frames(v1::PROVENANCE_MEASURED);
  Accept(Numbers());
  EXPECT_EQ(Run1("experiment, cell, workload, job_id, attempt, block, run, warmup, device_id, "
                 "model, model_sha256, quant"),
            "exp-1|model=tiny|chat|job-1|1|0|1|0|dev-1|tiny|feed|Q8_0");
  EXPECT_EQ(
      Run1("engine, engine_version, params, speed_method, n_prompt, n_gen, load_ms, load_state"),
      "llama.cpp|b7|{\"threads\":2}|stream|20|14|310.0|warm");
  EXPECT_EQ(Run1("ttft_ms, itps, otps, itl_p50_ms, itl_p99_ms"), "84.1|738.0|402.5|2.5|NULL");
  EXPECT_EQ(Run1("energy_channel, energy_scope, provenance, baseline, peak_rss_mib, max_temp_c"),
            "main|package|measured|idle_loaded|96.0|NULL");
  EXPECT_EQ(Run1("speed_quality, energy_quality, quality_reasons"),
            "VALID|SUSPECT|[\"energy clock:4.1%>1%\"]");
}

TEST_F(ResultViewTest, WhatABatteryGivesIsDerivedOfTheWholeDeviceOnly) {
  Frames(v1::PROVENANCE_MEASURED);
  AttemptResults results = Numbers();
  results.energies[0].mean_v = 4;
  Accept(results);
  const std::string derived = "energy_mwh, energy_mah, prompts_per_battery, mean_v";
  EXPECT_EQ(Run1(derived), "7.77777777777778|1.94444444444444|NULL|4.0");
  Query(path_, "UPDATE attempt SET battery_wh = 10");
  EXPECT_EQ(Run1("prompts_per_battery"), "NULL") << "of a package";
  Query(path_, "UPDATE channel SET scope = 'device' WHERE name = 'main'");
  // 36 000 J, and 28 J for the run's two prompts.
  EXPECT_EQ(Run1("prompts_per_battery, prompts_per_battery_est"), "2571.42857142857|NULL");
  Query(path_, "UPDATE channel SET provenance = 'simulated' WHERE name = 'main'");
  EXPECT_EQ(Run1(derived), "NULL|NULL|NULL|4.0");
  EXPECT_EQ(Run1("energy_sim_mwh, energy_sim_mah, prompts_per_battery_sim"),
            "7.77777777777778|1.94444444444444|2571.42857142857");
}

TEST_F(ResultViewTest, StartedIsWallTimeByTheClockSnapshot) {
  Frames(std::nullopt);
  Accept(Numbers());
  // 2.25 s after the snapshot at 2023-11-14T22:13:20Z.
  EXPECT_EQ(Run1("started"), "2023-11-14T22:13:22.250Z");
}

TEST_F(ResultViewTest, MeasuredJoulesAreInThePlainColumnsOnly) {
  Frames(v1::PROVENANCE_MEASURED);
  Accept(Numbers());
  EXPECT_EQ(Run1(Family("", ", ")), kNumbers);
  EXPECT_EQ(Run1(Family("_est", ", ")), kNulls);
  EXPECT_EQ(Run1(Family("_sim", ", ")), kNulls);
}

TEST_F(ResultViewTest, EstimatedJoulesKeepTheirLabel) {
  Frames(v1::PROVENANCE_ESTIMATED);
  Accept(Numbers());
  EXPECT_EQ(Run1(Family("", ", ")), kNulls);
  EXPECT_EQ(Run1(Family("_est", ", ")), kNumbers);
  EXPECT_EQ(Run1(Family("_sim", ", ")), kNulls);
  EXPECT_EQ(Run1("energy_j, provenance"), "NULL|estimated");
}

TEST_F(ResultViewTest, ModelledJoulesAreEstimates) {
  Frames(v1::PROVENANCE_MODELLED);
  Accept(Numbers());
  EXPECT_EQ(Run1("energy_j, energy_est_j, energy_sim_j"), "NULL|28.0|NULL");
}

TEST_F(ResultViewTest, SimulatedAndReplayedJoulesKeepTheirLabel) {
  Frames(v1::PROVENANCE_SIMULATED);
  Accept(Numbers());
  EXPECT_EQ(Run1(Family("", ", ")), kNulls);
  EXPECT_EQ(Run1(Family("_est", ", ")), kNulls);
  EXPECT_EQ(Run1(Family("_sim", ", ")), kNumbers);
}

TEST_F(ResultViewTest, ReplayedJoulesAreSimulated) {
  Frames(v1::PROVENANCE_REPLAYED);
  Accept(Numbers());
  EXPECT_EQ(Run1("energy_j, energy_est_j, energy_sim_j, provenance"), "NULL|NULL|28.0|replayed");
}

TEST_F(ResultViewTest, WithoutAChannelThereAreNoJoulesButARow) {
  Frames(std::nullopt);
  AttemptResults results = Numbers();
  results.energies.clear();
  Accept(results);
  EXPECT_EQ(Run1(Family("", ", ")), kNulls);
  EXPECT_EQ(Run1(Family("_est", ", ")), kNulls);
  EXPECT_EQ(Run1("otps, energy_channel, energy_scope, provenance, baseline"),
            "402.5|NULL|NULL|NULL|NULL");
}

TEST_F(ResultViewTest, WithoutTheRunsRowTheSumIsUsedAndUncertaintiesAddLinearly) {
  Frames(v1::PROVENANCE_MEASURED);
  AttemptResults results = Numbers();
  results.energies.erase(results.energies.begin());
  Accept(results);
  EXPECT_EQ(Run1("energy_j, energy_u_j, j_per_output_token_e2e, j_per_output_token_e2e_u"),
            "28.0|7.0|2.0|0.5");
  EXPECT_EQ(Run1("energy_net_j, mean_w, peak_w"), "NULL|NULL|NULL");
}

TEST_F(ResultViewTest, APhaseThatCouldNotBeMeasuredIsNullAndSoIsItsRatio) {
  Frames(v1::PROVENANCE_MEASURED);
  AttemptResults results = Numbers();
  results.energies[0].energy_j = std::nullopt;
  results.energies[1].energy_j = std::nullopt;
  Accept(results);
  EXPECT_EQ(Run1("energy_j, prefill_j, decode_j, j_per_prompt_token, j_per_decode_token, "
                 "j_per_output_token_e2e, mean_w"),
            "NULL|NULL|24.0|NULL|2.0|NULL|NULL");
}

TEST_F(ResultViewTest, RatiosOverNothingAreNull) {
  Frames(v1::PROVENANCE_MEASURED);
  AttemptResults results = Numbers();
  results.runs[1].n_prompt = 0;
  results.runs[1].n_gen = std::nullopt;
  v1::Event request;
  request.mutable_request()->set_run(1);
  request.mutable_request()->set_request(1);  // without its n_gen
  ASSERT_TRUE(store_->Ingest({MakeFrame(1, v1::STREAM_EVENT, 2, EventsOf({request}))}).ok());
  Accept(results);
  EXPECT_EQ(Run1("energy_j, j_per_prompt_token, j_per_decode_token, j_per_output_token_e2e"),
            "28.0|NULL|NULL|NULL");
}

TEST_F(ResultViewTest, ASingleTokenHasNoDecodeRatio) {
  Frames(v1::PROVENANCE_MEASURED);
  std::vector<v1::Event> requests(2);
  for (int i = 0; i < 2; ++i) {
    requests[i].mutable_request()->set_run(1);
    requests[i].mutable_request()->set_request(i);
    requests[i].mutable_request()->set_n_gen(i);  // 0 and 1
  }
  ASSERT_TRUE(store_->Ingest({MakeFrame(1, v1::STREAM_EVENT, 2, EventsOf(requests))}).ok());
  Accept(Numbers());
  EXPECT_EQ(Run1("j_per_decode_token, j_per_decode_token_u"), "NULL|NULL");
}

TEST_F(ResultViewTest, EveryTokenOfABenchRunLiesInItsDecodePhase) {
  Frames(v1::PROVENANCE_MEASURED);
  AttemptResults results = Numbers();
  results.runs[1].speed_method = "bench";
  results.runs[1].n_gen = 16;
  results.runs[1].ttft_ms = std::nullopt;
  Accept(results);
  EXPECT_EQ(Run1("j_per_decode_token, j_per_decode_token_u, j_per_prompt_token, ttft_ms"),
            "1.5|0.375|0.2|NULL");
  results.runs[1].n_gen = std::nullopt;
  ASSERT_TRUE(store_->Commit({results}).ok());
  EXPECT_EQ(Run1("j_per_decode_token"), "NULL");
}

TEST_F(ResultViewTest, WarmUpsAreRowsToo) {
  Frames(v1::PROVENANCE_MEASURED);
  Accept(Numbers());
  EXPECT_EQ(Query(path_, "SELECT run, warmup, otps, energy_j FROM result ORDER BY run"),
            "0|1|NULL|NULL;1|0|402.5|28.0");
}

TEST_F(ResultViewTest, OnlyTheAcceptedAttemptCounts) {
  Frames(v1::PROVENANCE_MEASURED);
  ASSERT_TRUE(store_->Commit({Numbers()}).ok());
  EXPECT_EQ(Query(path_, "SELECT count(*) FROM result"), "0");
  Accept(Numbers());
  EXPECT_EQ(Query(path_, "SELECT count(*) FROM result"), "2");
}

TEST_F(ResultViewTest, FinalisingAgainReplaces) {
  Frames(v1::PROVENANCE_ESTIMATED);
  Accept(Numbers());
  AttemptResults again = Numbers();
  again.energies[0].energy_j = 30;
  again.runs[1].otps = std::nullopt;
  Accept(again);
  EXPECT_EQ(Run1("energy_est_j, otps"), "30.0|NULL");
  EXPECT_EQ(Query(path_, "SELECT count(*) FROM energy"), "6");
}

TEST_F(ResultViewTest, EnergyRowsCarryTheirLabelAndEveryComponent) {
  Frames(v1::PROVENANCE_ESTIMATED);
  AttemptResults results = Numbers();
  EnergyResult& energy = results.energies[2];
  energy.source = 0;
  energy.start_ns = 7;
  energy.end_ns = 8;
  energy.parts = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7};
  energy.energy_lo_j = 20;
  energy.energy_hi_j = 30;
  energy.mean_w = 6;
  energy.quality = v1::QUALITY_SUSPECT;
  energy.reasons = {"gain:50%>10%"};
  Accept(results);
  EXPECT_EQ(Query(path_,
                  "SELECT scope, provenance, run, request, start_ns, end_ns, duration_s, energy_j, "
                  "energy_u_j, gain_u_j, offset_u_j, "
                  "clock_u_j, counter_u_j, gap_u_j, baseline_u_j, energy_lo_j, energy_hi_j, "
                  "mean_w, quality, reasons FROM energy "
                  "WHERE phase = 'decode' AND channel = 'main' AND request IS NULL"),
            "package|estimated|1|NULL|7|8|4.0|24.0|6.0|0.1|0.2|0.3|0.4|0.5|0.6|20.0|30.0|6.0|"
            "SUSPECT|[\"gain:50%>10%\"]");
}

}  // namespace
}  // namespace joulefarm::controller
