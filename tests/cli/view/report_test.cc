#include "cli/view/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/sample_tables.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Table Make(const std::vector<std::string>& columns, const std::vector<RowValues>& rows) {
  Table table;
  for (const std::string& name : columns) table.columns.push_back({name});
  table.rows = rows;
  return table;
}

ReportData SampleReport() {
  ReportData data;
  data.experiment =
      Make({"id", "name", "tenant", "sha256", "seed", "submitted", "text", "overrides"},
           {{"exp-1", "quant-sweep", "default", "abc", std::int64_t{42}, "2026-11-21T11:00:00Z",
             "name: quant-sweep\n# ``` in a comment\n", Value()}});
  data.jobs =
      Make({"id", "cell", "device_id", "state", "failure_class", "reason", "repetitions", "warmup"},
           {{"job-1", "model=tiny-f16", "edge-7f3a", "SUCCEEDED", Value(), Value(), std::int64_t{3},
             std::int64_t{1}},
            {"job-2", "model=tiny|x", "edge-7f3a", "FAILED", "OOM", "no memory | left\nlog line",
             std::int64_t{3}, std::int64_t{1}}});
  data.devices = Make({"id", "kind", "facts"},
                      {{"edge-7f3a", "laptop", R"({"cores":2,"os":"linux","engines":[]})"}});
  data.builds = Make({"device", "engine", "engine version", "governor"},
                     {{"edge-7f3a", "llama.cpp", "b6641", Value()}});
  data.models = Make({"model", "bytes"}, {{"tiny-f16", std::int64_t{41700000}}});
  data.channels = Make({"device", "channel", "gain u"}, {{"edge-7f3a", "estimated", 0.5}});
  data.results = SampleResults();
  data.summary = SampleSummary();
  return data;
}

TEST(ReportTest, SaysWhatRanOnWhat) {
  const std::string text = ReportMarkdown(SampleReport());
  EXPECT_THAT(text, HasSubstr("# quant-sweep\n\nexp-1, submitted 2026-11-21 11:00:00 UTC."));
  EXPECT_THAT(text,
              HasSubstr("2 jobs: 1 FAILED, 1 SUCCEEDED. Warm-ups + measured runs per job: 1 + 3."));
  EXPECT_THAT(text,
              HasSubstr("| job-2 | tiny\\|x | edge-7f3a | FAILED | OOM | no memory \\| left |"));
  EXPECT_THAT(text, HasSubstr("| edge-7f3a | laptop | cores 2, os linux |"));
  EXPECT_THAT(text, HasSubstr("| edge-7f3a | llama.cpp | b6641 |"));
  EXPECT_THAT(text, HasSubstr("| tiny-f16 | 41700000 |"));
  EXPECT_THAT(text, HasSubstr("| edge-7f3a | estimated | 0.5 |"));
  EXPECT_THAT(text, Not(HasSubstr("governor"))) << "a column that nobody knows is left out";
}

TEST(ReportTest, ValuesCarryTheirUncertaintyIntervalAndLabel) {
  const std::string text = ReportMarkdown(SampleReport());
  EXPECT_THAT(text, HasSubstr("### chat · tiny-f16 on edge-7f3a\n"));
  EXPECT_THAT(text, HasSubstr("| otps | 212 | "));
  EXPECT_THAT(text,
              ::testing::ContainsRegex("j_per_decode_token_est \\| ~0\\.[0-9]+ ± 0\\.[0-9]+ "));
  EXPECT_THAT(text, HasSubstr("estimated"));
}

TEST(ReportTest, TheFileCanBeSubmittedAgain) {
  const std::string text = ReportMarkdown(SampleReport());
  EXPECT_THAT(text, HasSubstr("````yaml\nname: quant-sweep\n# ``` in a comment\n````\n"));
  EXPECT_THAT(text, HasSubstr("joulefarm submit -f quant-sweep.yaml --wait"));
  EXPECT_THAT(text, HasSubstr("from result_summary where experiment = 'exp-1';"));
}

TEST(ReportTest, WhatWasChangedOnTheCommandLineIsInTheCommand) {
  ReportData data = SampleReport();
  data.experiment.rows[0].back() =
      std::string(R"(["repetitions=5","matrix.threads=[1,2]","name=it's"])");
  EXPECT_THAT(ReportMarkdown(data),
              HasSubstr("```sh\njoulefarm submit -f quant-sweep.yaml --set repetitions=5 --set "
                        "'matrix.threads=[1,2]' --set 'name=it'\\''s' --wait\n```\n"));
}

TEST(ReportTest, TheSamplesOfARunAreThoseOfItsPhases) {
  EXPECT_THAT(ReportMarkdown(SampleReport()),
              HasSubstr("join phase as p on p.attempt = r.attempt and p.run = r.run"));
}

TEST(ReportTest, NoResultsIsNoReasonToFail) {
  ReportData data = SampleReport();
  data.results.rows.clear();
  data.summary.rows.clear();
  const std::string text = ReportMarkdown(data);
  EXPECT_THAT(text, HasSubstr("No run was stored."));
}

}  // namespace
}  // namespace joulefarm::cli
