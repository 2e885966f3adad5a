#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/compare/compare_output.h"
#include "cli/compare/pairing.h"
#include "cli/compare/verdict.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;

struct Line {
  std::string cell, metric;
  double mean = 0, stdev = 0;
  int n = 0;
  std::string provenance = "";
  std::string scope = "";
  std::string method = "";
  std::string device = "dev-1";
};

CompareSide Side(const std::string& name, const std::vector<Line>& lines) {
  CompareSide side;
  side.name = name;
  for (const char* column : {"workload", "cell", "device_id", "metric", "unit", "speed_method",
                             "energy_scope", "provenance", "mean", "stdev", "n_unit", "stat_unit"})
    side.summary.columns.push_back({column});
  const auto text = [](const std::string& value) { return value.empty() ? Value() : Value(value); };
  for (const Line& line : lines) {
    side.summary.rows.push_back({"chat", line.cell, line.device, line.metric, "x",
                                 text(line.method), text(line.scope), text(line.provenance),
                                 line.mean, line.stdev, std::int64_t{line.n}, "run"});
  }
  return side;
}

Comparison Only(const CompareSide& a, const CompareSide& b) {
  const auto result = Compare(a, b, {});
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok() || result->rows.size() != 1) return {};
  return result->rows.front();
}

TEST(CompareTest, VerdictsAreInWords) {
  const auto verdict = [](const std::string& metric, double a, double b, double sd, int n) {
    return Verdict(
        Only(Side("A", {{"m=1", metric, a, sd, n}}), Side("B", {{"m=1", metric, b, sd, n}})));
  };
  EXPECT_EQ(verdict("otps", 100, 120, 1, 5), "B is 20 % faster");
  EXPECT_EQ(verdict("otps", 100, 80, 1, 5), "B is 20 % slower");
  EXPECT_EQ(verdict("ttft_ms", 100, 80, 1, 5), "B takes 20 % less time");
  EXPECT_EQ(verdict("energy_est_j", 100, 80, 1, 5), "B takes 20 % less energy");
  EXPECT_EQ(verdict("peak_rss_mib", 100, 180, 1, 5), "B takes 80 % more memory");
  EXPECT_EQ(verdict("my_score", 100, 180, 1, 5), "B is 80 % more");
  EXPECT_THAT(verdict("otps", 100, 101, 5, 3), HasSubstr("no difference shown (-10 % … +12 %)"));
  EXPECT_EQ(verdict("otps", 100, 150, 1, 2), "too few runs to tell (2 and 2, 3 needed)");
  EXPECT_EQ(verdict("otps", 100, 100, 0, 3), "the same");
  EXPECT_EQ(verdict("peak_rss_mib", 100, 100.008, 0, 3),
            "no difference worth the name (below 0.1 %)");
}

TEST(CompareTest, NobodyIsBetterThanTheVerdictSays) {
  const auto better = [](const std::string& metric, double b, int n = 3) {
    const CompareSide left = Side("A", {{"m=1", metric, 100, 0, n}});
    const CompareSide right = Side("B", {{"m=1", metric, b, 0, n}});
    const auto result = Compare(left, right, {});
    return result.ok() ? CompareTable(*result).rows.front()[22] : Value("?");
  };
  EXPECT_EQ(better("otps", 101), Value("b"));
  EXPECT_EQ(better("otps", 99), Value("a"));
  EXPECT_EQ(better("energy_j", 99), Value("b"));
  EXPECT_EQ(better("peak_rss_mib", 100.008), Value());  // below 0.1 %
  EXPECT_EQ(better("otps", 100), Value());
  EXPECT_EQ(better("otps", 101, 2), Value());
  EXPECT_EQ(better("my_score", 101), Value());
}

TEST(CompareTest, NotesSayWhatTheRunsWereWorthAndWhetherTheyDidTheSame) {
  CompareSide a = Side("A", {{"m=1", "otps", 100, 2, 3}});
  CompareSide b = Side("B", {{"m=1", "otps", 110, 5, 3}});
  for (CompareSide* side : {&a, &b}) {
    for (const char* column :
         {"workload", "cell", "device_id", "speed_quality", "n_prompt", "n_gen", "warmup"})
      side->runs.columns.push_back({column});
    for (int run = 0; run < 3; ++run) {
      side->runs.rows.push_back({"chat", "m=1", "dev-1",
                                 side == &b && run > 0 ? "SUSPECT" : "VALID", std::int64_t{16},
                                 std::int64_t{side == &a ? 8 : 64}, false});
    }
    // A warm-up is not used.
    side->runs.rows.push_back(
        {"chat", "m=1", "dev-1", "INVALID", std::int64_t{1}, std::int64_t{1}, true});
  }
  const auto result = Compare(a, b, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->notes,
              ::testing::ElementsAre("m=1 on dev-1: not the same work: n_gen 8 and 64",
                                     "m=1 on dev-1, B: speed SUSPECT 2 of 3 runs"));
}

TEST(CompareTest, NumbersAreThoseOfWelch) {
  const Comparison row =
      Only(Side("A", {{"m=1", "otps", 100, 2, 4}}), Side("B", {{"m=1", "otps", 110, 5, 6}}));
  const auto expected = WelchDifference95({100, 2, 4}, {110, 5, 6});
  ASSERT_TRUE(row.difference && expected);
  EXPECT_EQ(row.difference->low, expected->low);
  EXPECT_EQ(row.difference->high, expected->high);
  EXPECT_DOUBLE_EQ(*row.ratio, 1.1);
}

TEST(CompareTest, WhatSaysDifferentThingsIsRefused) {
  const auto refusal = [](const Line& a, const Line& b) {
    const auto result = Compare(Side("A", {a}), Side("B", {b}), {});
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(result.status().message());
  };
  EXPECT_THAT(refusal({"m=1", "energy_j", 5, 1, 3, "measured", "device"},
                      {"m=1", "energy_est_j", 5, 1, 3, "estimated", "device"}),
              HasSubstr("energy_j of m=1 on dev-1 cannot be compared: it is measured device in A "
                        "and estimated device in B"));
  EXPECT_THAT(refusal({"m=1", "energy_j", 5, 1, 3, "measured", "package"},
                      {"m=1", "energy_j", 5, 1, 3, "measured", "device"}),
              HasSubstr("measured package in A and measured device in B"));
  EXPECT_THAT(refusal({"m=1", "otps", 5, 1, 3, "", "", "stream"},
                      {"m=1", "otps", 5, 1, 3, "", "", "bench"}),
              HasSubstr("stream in A and bench in B"));
  // The same mixture inside one side.
  EXPECT_EQ(Compare(Side("A", {{"m=1", "energy_j", 5, 1, 3, "measured", "device"},
                               {"m=1", "energy_est_j", 5, 1, 3, "estimated", "device"}}),
                    Side("B", {{"m=1", "energy_j", 5, 1, 3, "measured", "device"}}), {})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(CompareTest, OneMetricOfAMixtureCanBeCompared) {
  const CompareSide a = Side("A", {{"m=1", "energy_j", 5, 1, 3, "measured", "device"},
                                   {"m=1", "otps", 5, 1, 3, "", "", "stream"}});
  const CompareSide b = Side("B", {{"m=1", "energy_est_j", 5, 1, 3, "estimated", "device"},
                                   {"m=1", "otps", 6, 1, 3, "", "", "stream"}});
  EXPECT_FALSE(Compare(a, b, {}).ok());
  const auto result = Compare(a, b, {"otps"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->rows.size(), 1u);
  const auto wrong = Compare(a, b, {"otpss"});
  EXPECT_EQ(wrong.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("did you mean \"otps\"?"));
}

TEST(CompareTest, CellsAndDevicesArePaired) {
  const CompareSide a = Side("A", {{"m=1", "otps", 5, 1, 3}, {"m=2", "otps", 6, 1, 3}});
  CompareSide b = Side("B", {{"m=1", "otps", 7, 1, 3}, {"m=3", "otps", 8, 1, 3}});
  auto result = Compare(a, b, {});
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->rows.size(), 1u);
  EXPECT_EQ(result->rows[0].cell_a, "m=1");
  EXPECT_THAT(result->notes,
              testing::ElementsAre("only in A: m=2 on dev-1", "only in B: m=3 on dev-1"));
  // Named cells are compared with each other.
  CompareSide two = a;
  two.cell = "m=2";
  b.cell = "m=3";
  result = Compare(two, b, {});
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->rows.size(), 1u);
  EXPECT_EQ(result->rows[0].b.mean, 8);
  b.cell = "m=9";
  const absl::Status none = Compare(two, b, {}).status();
  EXPECT_EQ(none.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(none.message()), HasSubstr("B has no such cell; its cells: m=1; m=3"));
}

TEST(CompareTest, OneDeviceOnEachSideMayDiffer) {
  const Line on_other{"m=1", "otps", 7, 1, 3, "", "", "", "dev-2"};
  const CompareSide a = Side("A", {{"m=1", "otps", 5, 1, 3}});
  EXPECT_EQ(Only(a, Side("B", {on_other})).device_b, "dev-2");
  // With several the ids decide.
  const auto result = Compare(a, Side("B", {on_other, {"m=1", "otps", 9, 1, 3}}), {});
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->rows.size(), 1u);
  EXPECT_EQ(result->rows[0].b.mean, 9);
}

TEST(CompareTest, PeopleAndMachinesSeeTheSame) {
  const CompareSide a = Side("exp-1", {{"m=1", "energy_est_j", 4, 0.1, 3, "estimated", "device"}});
  const CompareSide b = Side("exp-2", {{"m=1", "energy_est_j", 2, 0.1, 3, "estimated", "device"}});
  const auto result = Compare(a, b, {});
  ASSERT_TRUE(result.ok());
  std::ostringstream out;
  RenderCompare(a, b, *result, {}, out);
  EXPECT_THAT(out.str(), HasSubstr("A: exp-1\nB: exp-2\n"));
  EXPECT_THAT(out.str(), HasSubstr("energy_est_j x  ~4.00  ~2.00"));
  EXPECT_THAT(out.str(), HasSubstr("B takes 50 % less energy"));
  EXPECT_THAT(out.str(), HasSubstr("~ estimated, not measured"));
  const Table table = CompareTable(*result);
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.At(table.rows[0], "better"), Value("b"));
  EXPECT_EQ(table.At(table.rows[0], "ratio"), Value(0.5));
  EXPECT_EQ(table.At(table.rows[0], "speed_method"), Value());
}

}  // namespace
}  // namespace joulefarm::cli
