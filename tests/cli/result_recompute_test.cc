// `joulefarm result recompute` against a controller of our own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/cli_runner.h"
#include "tests/cli/fake_farm.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ResultRecompute : public ::testing::Test {
 protected:
  ResultRecompute() : cli_(farm_.address()) {
    farm_.OnRecompute([this](const v1::RecomputeRequest& request) -> absl::StatusOr<Table> {
      request_ = request;
      if (request.subject() == "job-9")
        return absl::NotFoundError("job-9 has no accepted attempt; --attempt names another");
      Table table;
      table.columns = {{"attempt", ColumnKind::kNumber},    {"phase", ColumnKind::kText},
                       {"energy_j", ColumnKind::kNumber},   {"recomputed_j", ColumnKind::kNumber},
                       {"identical", ColumnKind::kBoolean}, {"differs", ColumnKind::kJson},
                       {"outcome", ColumnKind::kText}};
      const bool same = request.subject() == "job-1";
      table.rows = {{std::int64_t{3}, "prefill", 4.5, 4.5, true, "[]", "same"},
                    {std::int64_t{3}, "decode", 24.25, same ? 24.25 : 24.5, same,
                     same ? "[]" : "[\"energy_j\"]", same ? "same" : "differs"}};
      if (request.subject() == "job-2") table.rows.clear();
      if (request.subject() == "job-3" || request.subject() == "exp-1")
        table.rows.push_back({std::int64_t{3}, "load", Value(), Value(), true, "[]", "absent"});
      if (request.subject() == "job-3") table.rows.erase(table.rows.begin() + 1);
      return table;
    });
  }

  FakeFarm farm_;
  CliRunner cli_;
  v1::RecomputeRequest request_;
};

TEST_F(ResultRecompute, TheSameIsExit0) {
  const CliOutcome outcome = cli_.Run({"result", "recompute", "job-1"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_THAT(outcome.out, HasSubstr("24.25"));
  EXPECT_EQ(outcome.err, "all 2 energies are the same to the last bit\n");
  EXPECT_FALSE(request_.has_attempt());
}

TEST_F(ResultRecompute, ADifferenceIsExit1AndSaysInWhat) {
  const CliOutcome outcome = cli_.Run({"result", "recompute", "exp-1", "--attempt", "3"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(outcome.out, HasSubstr("energy_j"));
  EXPECT_THAT(outcome.err, HasSubstr("1 of 3 energies differ"));
  EXPECT_THAT(outcome.err, HasSubstr(", 1 the same, 1 absent in both"));
  EXPECT_EQ(request_.attempt(), 3);
  const CliOutcome csv = cli_.Run({"result", "recompute", "exp-1", "-o", "csv"});
  EXPECT_EQ(csv.exit, 1);
  EXPECT_THAT(csv.out, HasSubstr("3,decode,24.25,24.5,false,"));
}

TEST_F(ResultRecompute, WhatCouldNotBeComputedIsCountedApart) {
  const CliOutcome outcome = cli_.Run({"result", "recompute", "job-3"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_THAT(outcome.err, StartsWith("1 the same to the last bit, 1 absent in both"));
  const CliOutcome json = cli_.Run({"result", "recompute", "job-3", "-o", "json"});
  EXPECT_EQ(json.exit, 0);
  const auto rows = nlohmann::json::parse(json.out);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["outcome"], "same");
  EXPECT_EQ(rows[1]["outcome"], "absent");
  EXPECT_TRUE(rows[1]["energy_j"].is_null());
  EXPECT_THAT(json.err, HasSubstr("1 absent in both"));
}

TEST_F(ResultRecompute, WithoutEnergiesThereIsNothingToDiffer) {
  const CliOutcome outcome = cli_.Run({"result", "recompute", "job-2"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_EQ(outcome.err, "no energies are stored, and none come out\n");
}

TEST_F(ResultRecompute, WhatIsNotThereIsExit2) {
  const CliOutcome outcome = cli_.Run({"result", "recompute", "job-9"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("no accepted attempt"));
  EXPECT_EQ(cli_.Run({"result", "recompute"}).exit, 2);
}

}  // namespace
}  // namespace joulefarm::cli
