// View `result_summary` against numbers computed by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

// One measured run.
struct Sample {
  std::optional<double> otps;
  std::optional<v1::Quality> speed = v1::QUALITY_VALID;
  std::optional<double> energy_j;
  std::optional<v1::Quality> energy_quality = v1::QUALITY_VALID;
  std::optional<double> metric;
  std::string metric_name = "score";
  std::string speed_method = "stream";
  std::optional<double> peak_rss_mib = std::nullopt;
};

Sample Otps(double otps) { return {.otps = otps, .energy_j = {}, .metric = {}}; }
Sample Energy(double joules) { return {.otps = {}, .energy_j = joules, .metric = {}}; }
Sample Reported(double value) { return {.otps = {}, .energy_j = {}, .metric = value}; }

class ResultSummaryTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = OpenStore(path_);
    ASSERT_NE(store_, nullptr);
    ASSERT_TRUE(store_->Commit({MakeExperiment(1)}).ok());
  }

  // A finished job of the cell in a block, with a warm-up (otps 1e6) and these runs.
  void AddJob(int block, const std::vector<Sample>& samples,
              v1::Provenance provenance = v1::PROVENANCE_ESTIMATED, double load_ms = 300) {
    const int number = ++jobs_;
    Job job = MakeJob(number);
    auto spec = std::make_shared<v1::JobSpec>(*job.spec);
    spec->set_block(block);
    job.spec = std::move(spec);
    job.live_fence = number;
    ASSERT_TRUE(store_->Commit({job, MakeAttempt(number, job)}).ok());

    std::vector<v1::Event> events(2);
    v1::ChannelInfo* channel = events[0].mutable_channel();
    channel->set_name("main");
    channel->set_scope(v1::SCOPE_DEVICE);
    channel->set_provenance(provenance);
    channel->set_primary(true);
    events[1].mutable_facts()->set_load_ms(load_ms);
    v1::MetricBatch metrics;
    AttemptResults results;
    results.fence = number;
    Add(0, {.otps = 1e6, .energy_j = 1e6, .metric = 1e6}, events, metrics, results);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      Add(static_cast<int>(i) + 1, samples[i], events, metrics, results);
    }
    auto outcome = store_->Ingest({MakeFrame(number, v1::STREAM_EVENT, 1, EventsOf(events)),
                                   MakeFrame(number, v1::STREAM_METRIC, 1, metrics)});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    ASSERT_EQ(outcome->response.rejected_size(), 0);
    job.state = v1::JOB_STATE_SUCCEEDED;
    job.accepted_fence = number;
    ASSERT_TRUE(store_->Commit({results, job}).ok());
  }

  static void Add(int run, const Sample& sample, std::vector<v1::Event>& events,
                  v1::MetricBatch& metrics, AttemptResults& results) {
    v1::RunDone* done = events.emplace_back().mutable_run();
    done->set_run(run);
    done->set_warmup(run == 0);
    RunResult& result = results.runs.emplace_back();
    result.run = run;
    result.otps = sample.otps;
    if (sample.otps) result.speed_method = sample.speed_method;
    result.peak_rss_mib = sample.peak_rss_mib;
    result.speed_quality = sample.speed;
    result.energy_quality = sample.energy_quality;
    if (sample.energy_j) {
      EnergyResult& energy = results.energies.emplace_back();
      energy.channel = "main";
      energy.run = run;
      energy.energy_j = sample.energy_j;
      energy.duration_s = 1;
    }
    if (sample.metric) {
      v1::Metric* metric = metrics.add_metrics();
      metric->set_run(run);
      metric->set_name(sample.metric_name);
      metric->set_unit("1/s");
      metric->set_value(*sample.metric);
    }
  }

  std::string Of(const std::string& metric, const std::string& columns) {
    return Query(path_, absl::StrCat("SELECT ", columns, " FROM result_summary WHERE metric = '",
                                     metric, "'"));
  }
  void ExpectNear(const std::string& metric, const std::string& column, double expected) {
    const std::string text = Of(metric, column);
    EXPECT_NEAR(std::strtod(text.c_str(), nullptr), expected, 1e-6 * std::abs(expected) + 1e-9)
        << metric << "." << column << " is " << text;
  }

  TempDir dir_;
  const std::string path_ = dir_.File("farm.db");
  std::unique_ptr<SqliteStore> store_;
  int jobs_ = 0;
};

TEST_F(ResultSummaryTest, ThreeRunsOfOneLoad) {
  AddJob(0, {Otps(10), Otps(12), Otps(17)});
  EXPECT_EQ(
      Of("otps",
         "experiment, workload, cell, device_id, unit, speed_method, energy_scope, provenance"),
      "exp-1|chat|model=tiny|dev-1|1/s|stream|NULL|NULL");
  EXPECT_EQ(Of("otps", "n, n_valid, stat_unit, n_unit, mean, median, ci_method"),
            "3|3|run|3|13.0|12.0|student_t");
  // sd² = (9 + 1 + 16) / 2 = 13; half = 4.30265 · √(13/3).
  ExpectNear("otps", "stdev", std::sqrt(13.0));
  ExpectNear("otps", "ci_low", 13 - 4.3026527297 * std::sqrt(13.0 / 3));
  ExpectNear("otps", "ci_high", 13 + 4.3026527297 * std::sqrt(13.0 / 3));
}

TEST_F(ResultSummaryTest, AnEvenMedianIsTheMiddleOfTwo) {
  AddJob(0, {Otps(10), Otps(40), Otps(20), Otps(32)});
  EXPECT_EQ(Of("otps", "n, median"), "4|26.0");
}

TEST_F(ResultSummaryTest, TwoRunsHaveNoInterval) {
  AddJob(0, {Otps(10), Otps(12)});
  EXPECT_EQ(Of("otps", "n, mean, ci_low, ci_high, ci_method"), "2|11.0|NULL|NULL|NULL");
  ExpectNear("otps", "stdev", std::sqrt(2.0));
}

TEST_F(ResultSummaryTest, OneRunHasNoDeviation) {
  AddJob(0, {Otps(10)});
  EXPECT_EQ(Of("otps", "n, mean, median, stdev, ci_low"), "1|10.0|10.0|NULL|NULL");
}

TEST_F(ResultSummaryTest, InvalidRunsAreCountedAndLeftOut) {
  Sample bad = Otps(1000);
  bad.speed = v1::QUALITY_INVALID;
  Sample suspect = Otps(14);
  suspect.speed = v1::QUALITY_SUSPECT;
  AddJob(0, {Otps(10), bad, suspect});
  EXPECT_EQ(Of("otps", "n, n_valid, n_unit, mean"), "3|2|2|12.0");
}

TEST_F(ResultSummaryTest, OnlyInvalidRunsStillLeaveARow) {
  Sample bad = Otps(1000);
  bad.speed = v1::QUALITY_INVALID;
  AddJob(0, {bad});
  EXPECT_EQ(Of("otps", "n, n_valid, n_unit, mean, median, stdev, ci_method"),
            "1|0|0|NULL|NULL|NULL|NULL");
}

TEST_F(ResultSummaryTest, EachDomainHasItsOwnGrade) {
  Sample sample = Energy(5);
  sample.otps = 10;
  sample.energy_quality = v1::QUALITY_INVALID;
  AddJob(0, {sample});
  EXPECT_EQ(Of("otps", "n_valid, mean"), "1|10.0");
  EXPECT_EQ(Of("energy_est_j", "n_valid, mean"), "0|NULL");
}

TEST_F(ResultSummaryTest, SeveralBlocksAreTheUnit) {
  AddJob(0, {Otps(10), Otps(20)});
  AddJob(1, {Otps(30)});
  AddJob(2, {Otps(45), Otps(45), Otps(45)});
  // Block means 15, 30, 45: the block with more runs weighs no more.
  EXPECT_EQ(Of("otps", "n, n_valid, stat_unit, n_unit, mean, median"), "6|6|block|3|30.0|30.0");
  ExpectNear("otps", "stdev", 15);
  ExpectNear("otps", "ci_high", 30 + 4.3026527297 * 15 / std::sqrt(3.0));
}

TEST_F(ResultSummaryTest, LoadingCountsOncePerLoad) {
  AddJob(0, {Otps(10), Otps(11), Otps(12)}, v1::PROVENANCE_ESTIMATED, 300);
  EXPECT_EQ(Of("load_ms", "n, stat_unit, n_unit, mean, ci_low"), "1|block|1|300.0|NULL");
  AddJob(1, {Otps(10), Otps(11)}, v1::PROVENANCE_ESTIMATED, 400);
  EXPECT_EQ(Of("load_ms", "n, n_unit, mean"), "2|2|350.0");
}

TEST_F(ResultSummaryTest, ProvenancesAreNeverMixed) {
  AddJob(0, {Energy(10), Energy(20)}, v1::PROVENANCE_ESTIMATED);
  AddJob(1, {Energy(100)}, v1::PROVENANCE_MEASURED);
  AddJob(2, {Energy(1000)}, v1::PROVENANCE_REPLAYED);
  AddJob(3, {Energy(10'000)}, v1::PROVENANCE_MODELLED);
  EXPECT_EQ(Query(path_,
                  "SELECT metric, energy_scope, provenance, n, mean FROM result_summary WHERE "
                  "metric LIKE 'energy%' ORDER BY mean"),
            "energy_est_j|device|estimated|2|15.0;energy_j|device|measured|1|100.0;energy_sim_j|"
            "device|replayed|1|1000.0;"
            "energy_est_j|device|modelled|1|10000.0");
}

TEST_F(ResultSummaryTest, WhatNoRunHasIsNoRow) {
  AddJob(0, {Otps(10)});
  EXPECT_EQ(
      Query(path_,
            "SELECT group_concat(metric) FROM (SELECT metric FROM result_summary ORDER BY metric)"),
      "load_ms,otps");
}

TEST_F(ResultSummaryTest, ReportedMetricsAreSummarisedByName) {
  AddJob(0, {Reported(3), Reported(5)});
  EXPECT_EQ(Of("score", "unit, speed_method, provenance, n, mean"), "1/s|NULL|NULL|2|4.0");
  EXPECT_EQ(Query(path_, "SELECT count(*) FROM result WHERE warmup = 0 AND otps IS NOT NULL"), "0");
}

// Three runs of a command that reports 3, 5 and 7 under the name.
std::vector<Sample> Reporting(const std::string& name) {
  std::vector<Sample> samples = {Reported(3), Reported(5), Reported(7)};
  for (Sample& sample : samples) sample.metric_name = name;
  return samples;
}

TEST_F(ResultSummaryTest, WhatAProgramClaimsIsNotWhatIsMeasured) {
  std::vector<Sample> samples = Reporting("peak_rss_mib");
  for (Sample& sample : samples) sample.peak_rss_mib = 100;
  AddJob(0, samples);
  AddJob(1, Reporting("energy_j"), v1::PROVENANCE_MEASURED);
  EXPECT_EQ(Of("peak_rss_mib", "n_valid, mean"), "3|100.0");
  EXPECT_EQ(Of("reported_peak_rss_mib", "n_valid, mean"), "3|5.0");
  EXPECT_EQ(Of("energy_j", "n"), "");
  EXPECT_EQ(Of("reported_energy_j", "n, mean, provenance"), "3|5.0|NULL");
}

TEST_F(ResultSummaryTest, AReportedSpeedCountsOnceAndApart) {
  std::vector<Sample> samples = Reporting("otps");
  for (Sample& sample : samples) {
    sample.otps = sample.metric;
    sample.speed_method = "reported";
    sample.speed = std::nullopt;
  }
  AddJob(0, samples);
  EXPECT_EQ(Of("otps", "speed_method, unit, n, n_valid, mean"), "reported|1/s|3|3|5.0");
  EXPECT_EQ(Of("reported_otps", "n"), "");
  // A run that has a speed measured from its tokens keeps that.
  AddJob(0, {{.otps = 10, .energy_j = {}, .metric = 99, .metric_name = "otps"}});
  EXPECT_EQ(Query(path_,
                  "SELECT metric, speed_method, n, mean FROM result_summary WHERE metric LIKE "
                  "'%otps' ORDER BY mean"),
            "otps|reported|3|5.0;otps|stream|1|10.0;reported_otps|NULL|1|99.0");
}

TEST_F(ResultSummaryTest, NoIntervalOfASpeedReachesBelowZero) {
  AddJob(0, {Otps(1), Otps(1), Otps(100)});
  EXPECT_EQ(Of("otps", "ci_low, ci_high > 150"), "0.0|1");
  // A program's own numbers may be negative.
  AddJob(1, {Reported(-1), Reported(1), Reported(30)});
  EXPECT_LT(std::strtod(Of("score", "ci_low").c_str(), nullptr), 0);
}

TEST_F(ResultSummaryTest, LargeSamplesUseTheExpansionOfT) {
  std::vector<Sample> samples;
  for (int i = 0; i < 41; ++i) samples.push_back(Otps(i));  // mean 20, sd² = 143.5
  AddJob(0, samples);
  EXPECT_EQ(Of("otps", "n_unit, mean, median, ci_method"), "41|20.0|20.0|student_t");
  ExpectNear("otps", "ci_high", 20 + 2.021075390306 * std::sqrt(143.5 / 41));
}

TEST_F(ResultSummaryTest, EveryQuantileIsThatOfStudent) {
  // t such that half of the mass of the density between −t and t is 0.975 − 0.025, by Simpson's
  // rule.
  const auto mass = [](double t, double df) {
    const double scale =
        std::exp(std::lgamma((df + 1) / 2) - std::lgamma(df / 2)) / std::sqrt(df * M_PI);
    constexpr int kSteps = 2000;
    double sum = 0;
    for (int i = 0; i <= kSteps; ++i) {
      const double x = t * i / kSteps;
      const double weight = i == 0 || i == kSteps ? 1 : i % 2 == 1 ? 4 : 2;
      sum += weight * std::pow(1 + x * x / df, -(df + 1) / 2);
    }
    return 2 * scale * sum * t / kSteps / 3;
  };
  for (const int n : {3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 25, 31, 32, 33, 60}) {
    const TempDir dir;
    std::vector<Sample> samples;
    for (int i = 0; i < n; ++i) samples.push_back(Otps(i % 2));
    jobs_ = 0;
    const std::string path = dir.File("farm.db");
    store_ = OpenStore(path);
    ASSERT_TRUE(store_->Commit({MakeExperiment(1)}).ok());
    AddJob(0, samples);
    const std::string text = Query(path,
                                   "SELECT (ci_high - mean) / (stdev / sqrt(n_unit)) FROM "
                                   "result_summary WHERE metric = 'otps'");
    EXPECT_NEAR(mass(std::strtod(text.c_str(), nullptr), n - 1), 0.95, 2e-8) << "n = " << n;
  }
}

}  // namespace
}  // namespace joulefarm::controller
