#include "cli/view/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/output/text.h"
#include "cli/view/run_values.h"
#include "tests/cli/sample_tables.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<std::string> kOrder{"model=tiny-f16", "model=tiny-q8_0", "model=tiny-q4_k_m"};

std::string Draw(const Table& summary, const Table& results, const Look& look = {}) {
  std::ostringstream out;
  RenderSummary(summary, results, kOrder, look, out);
  return out.str();
}

void Set(Table& table, std::size_t row, const std::string& column, Value value) {
  table.rows[row][static_cast<std::size_t>(table.Find(column))] = std::move(value);
}

TEST(Summary, Golden) {
  EXPECT_EQ(
      Draw(SampleSummary(), SampleResults()),
      "CELL         N  OTPS tok/s [95 % CI]  TTFT ms    J/TOKEN decode  LOAD ms  RSS MiB  QUALITY\n"
      "tiny-f16     3        212 [205, 219]     84.1    ~0.061 ± 0.020      310     96.4  speed "
      "VALID · energy estimated\n"
      "tiny-q8_0    3        402 [389, 415]     47.9    ~0.033 ± 0.011      189     71.0  speed "
      "SUSPECT 1/3 · energy estimated\n"
      "tiny-q4_k_m  3        456 [441, 471]     52.4  ~0.0294 ± 0.0098      171     58.3  speed "
      "VALID · energy estimated\n"
      "~ estimated, not measured · ± standard uncertainty (k = 1) · interval of the mean over "
      "runs\n"
      "tiny-q8_0: speed background_cpu:31%>10% (1 of 3 runs)\n");
}

TEST(Summary, ANarrowTerminalGetsTwoTablesAndNoClippedGrade) {
  EXPECT_EQ(Draw(SampleSummary(), SampleResults(), {80, false}),
            "CELL         N  OTPS tok/s [95 % CI]  TTFT ms  LOAD ms  RSS MiB  SPEED\n"
            "tiny-f16     3        212 [205, 219]     84.1      310     96.4  VALID\n"
            "tiny-q8_0    3        402 [389, 415]     47.9      189     71.0  SUSPECT 1/3\n"
            "tiny-q4_k_m  3        456 [441, 471]     52.4      171     58.3  VALID\n"
            "\n"
            "CELL           J/TOKEN decode  ENERGY\n"
            "tiny-f16       ~0.061 ± 0.020  estimated\n"
            "tiny-q8_0      ~0.033 ± 0.011  estimated\n"
            "tiny-q4_k_m  ~0.0294 ± 0.0098  estimated\n"
            "~ estimated, not measured · ± standard uncertainty (k = 1) · interval of the\n"
            "mean over runs\n"
            "tiny-q8_0: speed background_cpu:31%>10% (1 of 3 runs)\n");
}

TEST(Summary, ReasonsOfSpeedComeFirstThenThoseOfMostRunsAndAReportHasAll) {
  Table results = SampleResults();
  for (std::size_t row = 0; row < results.rows.size(); ++row)
    Set(results, row, "quality_reasons", std::string(R"(["energy z"])"));
  // Row 0 is run 4 of tiny-q4_k_m.
  Set(results, 0, "quality_reasons",
      std::string(R"(["energy a","energy b","energy c","energy d","energy e","energy f",)"
                  R"("energy g","energy h","speed throttled:1>0"])"));
  const std::string few = Draw(Table(), results);
  EXPECT_LT(few.find("speed throttled"), few.find("energy z"));
  EXPECT_LT(few.find("energy z"), few.find("energy a"));
  EXPECT_THAT(few, HasSubstr("and 2 more grading reasons\n"));
  EXPECT_THAT(few, Not(HasSubstr("energy h")));
  std::ostringstream all;
  RenderSummary(Table(), results, kOrder, {}, all, kAllReasons);
  EXPECT_THAT(all.str(), HasSubstr("energy h"));
  EXPECT_THAT(all.str(), Not(HasSubstr("more grading")));
}

TEST(Summary, ABenchTableFitsEightyColumns) {
  Table results = SampleResults();
  for (std::size_t row = 0; row < results.rows.size(); ++row) {
    Set(results, row, "speed_method", std::string("bench"));
    Set(results, row, "itps", 2088.0);
  }
  Table summary = SampleSummary();
  std::istringstream lines(Draw(summary, results, {80, false}));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(DisplayWidth(line), 80) << line;
}

TEST(Summary, InvalidRunsCountButDoNotEnterMeans) {
  Table results = SampleResults();
  // Row 0 is run 4 of tiny-q4_k_m.
  Set(results, 0, "speed_quality", std::string("INVALID"));
  Set(results, 0, "otps", 100000.0);
  Set(results, 0, "quality_reasons", std::string(R"(["speed cache:1>0"])"));
  Table no_aggregates;
  const std::string drawn = Draw(no_aggregates, results);
  EXPECT_THAT(drawn, HasSubstr("tiny-q4_k_m  2/3                   454"));  // (451.2 + 455.8) / 2
  EXPECT_THAT(drawn, HasSubstr("speed INVALID 1/3"));
  EXPECT_THAT(drawn, HasSubstr("tiny-q4_k_m: speed cache:1>0 (1 of 3 runs)"));
  EXPECT_THAT(drawn, Not(HasSubstr("interval of the mean")));
}

TEST(Summary, EnergyOfSeveralSourcesIsNeverMixed) {
  Table results = SampleResults();
  // One run of tiny-q4_k_m measured, the others estimated: the measured one stands alone.
  Set(results, 0, "j_per_decode_token", 0.5);
  Set(results, 0, "j_per_decode_token_est", Value());
  Set(results, 0, "j_per_decode_token_est_u", Value());
  Set(results, 0, "provenance", std::string("measured"));
  EXPECT_THAT(Draw(Table(), results), HasSubstr("  0.500 "));
}

TEST(Summary, WithoutEnergySaysSo) {
  Table results = SampleResults();
  for (std::size_t row = 0; row < results.rows.size(); ++row) {
    for (const char* column :
         {"j_per_decode_token_est", "j_per_decode_token_est_u", "provenance", "energy_quality"}) {
      Set(results, row, column, Value());
    }
  }
  const std::string drawn = Draw(Table(), results);
  EXPECT_THAT(drawn, HasSubstr("speed VALID · no energy"));
  EXPECT_THAT(drawn, Not(HasSubstr("~")));
}

TEST(Summary, SeveralDevicesGetAColumnAndRowsOfTheirOwn) {
  Table results = SampleResults();
  for (std::size_t row = 0; row < 2; ++row) Set(results, row, "device_id", std::string("pixel-8"));
  const std::string drawn = Draw(Table(), results);
  EXPECT_THAT(drawn, HasSubstr("tiny-q4_k_m  edge-7f3a  1"));
  EXPECT_THAT(drawn, HasSubstr("tiny-q4_k_m  pixel-8    2"));
}

TEST(Summary, WorkloadsOfOneCellStayApart) {
  Table results = SampleResults();
  for (std::size_t row = 0; row < 2; ++row) Set(results, row, "workload", std::string("speed"));
  const std::string drawn = Draw(Table(), results);
  EXPECT_THAT(drawn, HasSubstr("chat tiny-q4_k_m   1"));
  EXPECT_THAT(drawn, HasSubstr("speed tiny-q4_k_m  2"));
}

TEST(Summary, WhatTheEngineTimedItselfStandsInATableOfItsOwn) {
  Table results = SampleResults();
  // All runs of tiny-q4_k_m.
  for (std::size_t row = 0; row < results.rows.size(); ++row) {
    if (TextAt(results, results.rows[row], "cell") != "model=tiny-q4_k_m") continue;
    Set(results, row, "workload", std::string("bench"));
    Set(results, row, "speed_method", std::string("bench"));
    Set(results, row, "itps", 2088.0);
    Set(results, row, "ttft_ms", Value());
  }
  EXPECT_EQ(Draw(Table(), results),
            "CELL            N  OTPS tok/s [95 % CI]  TTFT ms  J/TOKEN decode  LOAD ms  RSS MiB  "
            "QUALITY\n"
            "chat tiny-f16   3                   212     84.1  ~0.061 ± 0.020      310     96.4  "
            "speed VALID · energy estimated\n"
            "chat tiny-q8_0  3                   402     47.9  ~0.033 ± 0.011      189     71.0  "
            "speed SUSPECT 1/3 · energy estimated\n"
            "\n"
            "CELL (llama-bench)  N  ITPS tok/s [95 % CI]  OTPS tok/s [95 % CI]    J/TOKEN decode  "
            "LOAD ms  RSS MiB  QUALITY\n"
            "bench tiny-q4_k_m   3                  2088                   456  ~0.0294 ± 0.0098   "
            "   171     58.3  speed VALID · energy estimated\n"
            "~ estimated, not measured · ± standard uncertainty (k = 1)\n"
            "chat tiny-q8_0: speed background_cpu:31%>10% (1 of 3 runs)\n");
}

TEST(Summary, WhatACommandSaysOfItselfStandsInATableOfItsOwn) {
  Table results = SampleResults();
  for (std::size_t row = 0; row < results.rows.size(); ++row) {
    if (TextAt(results, results.rows[row], "cell") == "model=tiny-q4_k_m")
      Set(results, row, "speed_method", std::string("reported"));
  }
  const std::string drawn = Draw(Table(), results);
  EXPECT_THAT(drawn, HasSubstr("CELL       N  OTPS tok/s [95 % CI]  TTFT ms"));
  EXPECT_THAT(drawn, HasSubstr("\n\nCELL (as the command says)  N  OTPS tok/s [95 % CI]  TTFT ms"));
  EXPECT_LT(drawn.find("tiny-q8_0"), drawn.find("as the command says"));
  EXPECT_LT(drawn.find("as the command says"), drawn.find("tiny-q4_k_m"));
}

TEST(Summary, NothingStored) { EXPECT_EQ(Draw(Table(), Table()), "No run was stored.\n"); }

}  // namespace
}  // namespace joulefarm::cli
