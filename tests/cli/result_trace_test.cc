// `joulefarm result trace` against a controller of our own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/cli/cli_runner.h"
#include "tests/cli/fake_farm.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::ordered_json;

constexpr std::int64_t kSecond = 1'000'000'000;

class ResultTrace : public ::testing::Test {
 protected:
  ResultTrace()
      : cli_(farm_.address()),
        directory_(std::filesystem::temp_directory_path() /
                   ("jf-cli-trace-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(directory_);
    farm_.OnSql([this](const std::string& query) { return Answer(query); });
    farm_.OnTrace([this](const v1::GetTraceRequest& request) -> absl::StatusOr<Table> {
      if (request.job() != "job-7" || request.channel() == "none")
        return absl::NotFoundError("attempt 9 of job-7 (SUCCEEDED) has no channel \"none\"");
      requests_.push_back(request);
      Table table;
      table.columns = {{"t_ns", ColumnKind::kNumber}, {"value", ColumnKind::kNumber}};
      // A counter that goes 2 J/s, and 6 J/s while decoding.
      for (int i = 0; i <= 100; ++i) {
        const double s = 0.1 * i;
        table.rows.push_back(
            {10 * kSecond + i * (kSecond / 10), 2 * s + 4 * std::min(4.0, std::max(0.0, s - 4.0))});
      }
      return table;
    });
  }
  ~ResultTrace() override { std::filesystem::remove_all(directory_); }

  absl::StatusOr<Table> Answer(const std::string& query) {
    queries_.push_back(query);
    Table table;
    if (absl::StrContains(query, "JOIN channel") && !absl::StrContains(query, "trace_chunk")) {
      for (const char* name :
           {"job", "experiment", "cell", "attempt", "device", "name", "source", "quantity", "scope",
            "provenance", "description", "nominal_hz", "refresh_ns", "wrap"}) {
        table.columns.push_back({name});
      }
      if (!absl::StrContains(query, "'job-7'") || absl::StrContains(query, "'none'")) return table;
      table.rows = {{"job-7", "exp-1", "model=tiny", std::int64_t{9}, "edge-7f3a", "estimated",
                     std::int64_t{0}, "energy_counter_j", "device", "estimated", Value(), 10.0,
                     Value(), Value()}};
    } else if (absl::StrContains(query, "FROM phase")) {
      table.columns = {{"phase"}, {"run"}, {"start_ns"}, {"end_ns"}};
      table.rows = {{"idle_loaded", Value(), 10 * kSecond, 13 * kSecond},
                    {"prefill", std::int64_t{2}, 13 * kSecond, 14 * kSecond},
                    {"decode", std::int64_t{2}, 14 * kSecond, 18 * kSecond},
                    {"tail", Value(), 18 * kSecond, 20 * kSecond}};
      if (overlapping_) {
        table.rows = {{"prefill", std::int64_t{0}, 10 * kSecond, 12 * kSecond},
                      {"prefill", std::int64_t{1}, 12 * kSecond, 14 * kSecond},
                      {"decode", std::int64_t{0}, 15 * kSecond, 17 * kSecond},
                      {"decode", std::int64_t{1}, 17 * kSecond, 19 * kSecond}};
      }
    } else if (absl::StrContains(query, "FROM run")) {
      table.columns = {{"run"}, {"warmup"}, {"start_ns"}, {"end_ns"}};
      table.rows = {{std::int64_t{2}, std::int64_t{0}, 13 * kSecond, 18 * kSecond}};
      if (overlapping_) {
        table.rows = {{std::int64_t{0}, std::int64_t{0}, 10 * kSecond, 17 * kSecond},
                      {std::int64_t{1}, std::int64_t{0}, 12 * kSecond, 19 * kSecond}};
      }
    } else {
      table.columns = {{"first"}, {"last"}, {"samples"}, {"lost"}};
      table.rows = {{10 * kSecond, 20 * kSecond, std::int64_t{101}, std::int64_t{3}}};
    }
    return table;
  }

  std::string Read(const std::string& name) {
    std::ifstream file(directory_ / name, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::string Path(const std::string& name) { return (directory_ / name).string(); }

  bool overlapping_ = false;
  FakeFarm farm_;
  CliRunner cli_;
  std::filesystem::path directory_;
  std::vector<std::string> queries_;
  std::vector<v1::GetTraceRequest> requests_;
};

TEST_F(ResultTrace, PrintsSamplesWithTheirPhase) {
  CliOutcome outcome = cli_.Run({"result", "trace", "job-7"});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("           T s             VALUE  PHASE\n"
                                      "      0.000000                 0  idle_loaded\n"));
  EXPECT_THAT(outcome.out, HasSubstr("      3.000000                 6  prefill\n"));
  ASSERT_EQ(requests_.size(), 1u);
  EXPECT_EQ(requests_[0].attempt(), 9);
  EXPECT_EQ(requests_[0].channel(), "estimated");
}

TEST_F(ResultTrace, MachineFormats) {
  const CliOutcome outcome = cli_.Run({"result", "trace", "job-7", "-o", "json"});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  const Json rows = Json::parse(outcome.out);
  ASSERT_EQ(rows.size(), 101u);
  EXPECT_EQ(rows[0].dump(), R"({"t_ns":10000000000,"t_s":0,"value":0,"phase":"idle_loaded"})");
  EXPECT_EQ(rows[100]["phase"], nullptr);
  EXPECT_THAT(cli_.Run({"result", "trace", "job-7", "-o", "csv"}).out,
              StartsWith("t_ns,t_s,value,phase\n10000000000,0,0,idle_loaded\n"));
  EXPECT_THAT(cli_.Run({"result", "trace", "job-7", "-o", "jsonl"}).out,
              StartsWith("{\"t_ns\": 10000000000, "));
  EXPECT_EQ(cli_.Run({"result", "trace", "job-7", "-o", "name"}).exit, 2);
}

TEST_F(ResultTrace, OneRunCountsFromItsBeginning) {
  const CliOutcome outcome = cli_.Run({"result", "trace", "job-7", "--run", "2", "-o", "json"});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  const Json rows = Json::parse(outcome.out);
  ASSERT_EQ(rows.size(), 51u);
  EXPECT_EQ(rows[0]["t_s"], 0);
  EXPECT_EQ(rows[0]["t_ns"], 13 * kSecond);
  const CliOutcome none = cli_.Run({"result", "trace", "job-7", "--run", "5"});
  EXPECT_EQ(none.exit, 2);
  EXPECT_THAT(none.err, HasSubstr("has no run 5; it has 2"));
}

TEST_F(ResultTrace, OfRunsThatOverlapOnlyTheirOwnPhases) {
  overlapping_ = true;
  const CliOutcome outcome = cli_.Run({"result", "trace", "job-7", "--run", "1", "-o", "json"});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  const Json rows = Json::parse(outcome.out);
  // 12 s to 14 s and 17 s to 19 s, ten samples each second, the very end with them.
  ASSERT_EQ(rows.size(), 41u);
  EXPECT_EQ(rows[0]["t_ns"], 12 * kSecond);
  EXPECT_EQ(rows[19]["phase"], "prefill");
  EXPECT_EQ(rows[20]["t_ns"], 17 * kSecond);
  EXPECT_EQ(rows[20]["phase"], "decode");
}

TEST_F(ResultTrace, ExportsInTheFormatOfTheName) {
  ASSERT_EQ(cli_.Run({"result", "trace", "job-7", "--export", Path("a.csv")}).exit, 0);
  EXPECT_THAT(Read("a.csv"), StartsWith("t_ns,t_s,value,phase\n"));
  ASSERT_EQ(cli_.Run({"result", "trace", "job-7", "--export", Path("a.json")}).exit, 0);
  EXPECT_EQ(Json::parse(Read("a.json")).size(), 101u);
  ASSERT_EQ(cli_.Run({"result", "trace", "job-7", "--export", Path("a.dat"), "-o", "jsonl"}).exit,
            0);
  EXPECT_THAT(Read("a.dat"), StartsWith("{\"t_ns\""));
  const CliOutcome outcome =
      cli_.Run({"result", "trace", "job-7", "--export", Path("missing/a.csv")});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("cannot write"));
}

TEST_F(ResultTrace, AnEarlierFileStaysWhenNothingComes) {
  std::ofstream(Path("earlier.csv")) << "earlier";
  std::ofstream(Path("earlier.svg")) << "earlier";
  farm_.OnTrace([](const v1::GetTraceRequest&) { return absl::DataLossError("chunk 3"); });
  EXPECT_EQ(cli_.Run({"result", "trace", "job-7", "--export", Path("earlier.csv")}).exit, 3);
  EXPECT_EQ(cli_.Run({"result", "trace", "job-7", "--svg", Path("earlier.svg")}).exit, 3);
  const CliOutcome outcome =
      cli_.Run({"result", "trace", "job-7", "--export", Path("earlier.svg")});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("what is written here is csv or json or jsonl, not .svg"));
  EXPECT_EQ(Read("earlier.csv"), "earlier");
  EXPECT_EQ(Read("earlier.svg"), "earlier");
  EXPECT_FALSE(std::filesystem::exists(Path("earlier.csv.part")));
}

TEST_F(ResultTrace, PlotsACounterAsPower) {
  cli_.terminal = true;
  cli_.width = 80;
  cli_.environment["NO_COLOR"] = "1";
  const CliOutcome outcome = cli_.Run({"result", "trace", "job-7", "--plot"});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("~ power in W (estimated)"));
  EXPECT_THAT(outcome.out, HasSubstr("a counter: drawn is its difference over 200 ms"));
  EXPECT_THAT(outcome.out, HasSubstr("3 samples were lost"));
  EXPECT_THAT(outcome.out, HasSubstr("      6 ┤"));
  EXPECT_THAT(outcome.out, ::testing::Not(HasSubstr("\x1b")));
}

TEST_F(ResultTrace, DrawsASvg) {
  ASSERT_EQ(cli_.Run({"result", "trace", "job-7", "--svg", Path("a.svg"), "--plot"}).exit, 0);
  EXPECT_THAT(Read("a.svg"), HasSubstr("~ power in W (estimated)"));
  EXPECT_THAT(cli_.Run({"result", "trace", "job-7", "--svg", "-"}).out, StartsWith("<svg "));
}

TEST_F(ResultTrace, WhatIsNotThereIsTheControllersToExplain) {
  const CliOutcome outcome = cli_.Run({"result", "trace", "job-7", "--channel", "none"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("has no channel \"none\""));
  EXPECT_EQ(cli_.Run({"result", "trace", "it's"}).exit, 2);
  EXPECT_THAT(queries_.back(), HasSubstr("job.id = 'it''s'"));
}

}  // namespace
}  // namespace joulefarm::cli
