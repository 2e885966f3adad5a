// `joulefarm result export` and `compare` against a controller of our own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/match.h"
#include "tests/cli/cli_runner.h"
#include "tests/cli/fake_farm.h"
#include "tests/cli/sample_tables.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::ordered_json;

class ResultExport : public ::testing::Test {
 protected:
  ResultExport()
      : cli_(farm_.address()),
        directory_(std::filesystem::temp_directory_path() /
                   ("jf-cli-export-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(directory_);
    farm_.OnList(SampleList);
    farm_.OnSql([](const std::string& query) {
      Table table;
      if (absl::StrContains(query, "FROM job JOIN channel")) {
        table.columns = {{"job"}, {"name"}, {"quantity"}, {"attempt"}};
        table.rows = {{"job-1", "power", "power_w", std::int64_t{1}},
                      {"job-2", "power", "power_w", std::int64_t{2}}};
      } else if (absl::StrContains(query, "JOIN channel")) {
        table.columns = {{"job"}, {"attempt"}, {"name"}, {"quantity"}};
        const bool first = absl::StrContains(query, "'job-1'");
        table.rows = {{first ? "job-1" : "job-2", std::int64_t{first ? 1 : 2}, "power", "power_w"}};
      } else {
        table.columns = {{"start_ns"}};
      }
      return table;
    });
    farm_.OnTrace([](const v1::GetTraceRequest& request) {
      Table table;
      table.columns = {{"t_ns"}, {"value"}};
      table.rows = {{std::int64_t{5}, static_cast<double>(request.attempt())},
                    {std::int64_t{6}, 0.5}};
      return table;
    });
  }
  ~ResultExport() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name) { return (directory_ / name).string(); }
  std::string Read(const std::string& name) {
    std::ifstream file(directory_ / name, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::ptrdiff_t Files() const {
    return std::distance(std::filesystem::directory_iterator(directory_),
                         std::filesystem::directory_iterator());
  }

  FakeFarm farm_;
  CliRunner cli_;
  std::filesystem::path directory_;
};

TEST_F(ResultExport, EveryColumnOfEveryRun) {
  const CliOutcome outcome =
      cli_.Run({"result", "export", "--experiment", "exp-1", Path("runs.csv")});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(outcome.err, Path("runs.csv") + ": 12 runs\n");
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(Read("runs.csv"), StartsWith("experiment,cell,workload,job_id,"));
  EXPECT_THAT(Read("runs.csv"), HasSubstr(",quality_reasons\n"));
  EXPECT_EQ(farm_.lists().back().filters().at("experiment"), "exp-1");
}

TEST_F(ResultExport, JsonLinesToTheOutput) {
  const CliOutcome outcome =
      cli_.Run({"result", "export", "--experiment", "exp-1", "-o", "jsonl", "-"});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  std::istringstream lines(outcome.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count)
    EXPECT_TRUE(Json::parse(line).contains("energy_est_j"));
  EXPECT_EQ(count, 12);
  ASSERT_EQ(cli_.Run({"result", "export", "--experiment", "exp-1", Path("a.jsonl")}).exit, 0);
  EXPECT_THAT(Read("a.jsonl"), StartsWith("{\"experiment\""));
}

TEST_F(ResultExport, TracesGoBeside) {
  const CliOutcome outcome =
      cli_.Run({"result", "export", "--experiment", "exp-1", "--traces", Path("runs.csv")});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(Read("runs.traces.csv"),
            "job_id,attempt,channel,quantity,t_ns,t_s,value,phase\n"
            "job-1,1,power,power_w,5,5e-09,1,\njob-1,1,power,power_w,6,6e-09,0.5,\n"
            "job-2,2,power,power_w,5,5e-09,2,\njob-2,2,power,power_w,6,6e-09,0.5,\n");
  EXPECT_EQ(cli_.Run({"result", "export", "--experiment", "exp-1", "--traces", "-"}).exit, 2);
}

TEST_F(ResultExport, AnEarlierFileStaysWhenNothingComes) {
  std::ofstream(Path("runs.csv")) << "earlier";
  std::ofstream(Path("runs.traces.csv")) << "earlier too";
  farm_.OnList([](const v1::ListRequest&) {
    return absl::NotFoundError("no experiment has the id or name exp-9");
  });
  CliOutcome outcome =
      cli_.Run({"result", "export", "--experiment", "exp-9", "--traces", Path("runs.csv")});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("no experiment has the id or name exp-9"));
  // Only the second file fails: neither is replaced.
  farm_.OnList(SampleList);
  farm_.OnTrace([](const v1::GetTraceRequest&) { return absl::DataLossError("chunk 3"); });
  EXPECT_EQ(
      cli_.Run({"result", "export", "--experiment", "exp-1", "--traces", Path("runs.csv")}).exit,
      3);
  EXPECT_EQ(Read("runs.csv"), "earlier");
  EXPECT_EQ(Read("runs.traces.csv"), "earlier too");
  EXPECT_EQ(Files(), 2);
}

TEST_F(ResultExport, TheNameSaysTheFormatOrIsRefused) {
  std::ofstream(Path("runs.json")) << "earlier";
  CliOutcome outcome = cli_.Run({"result", "export", "--experiment", "exp-1", Path("runs.json")});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_EQ(outcome.err,
            "error: what is written here is csv or jsonl, not .json: name the file so, or say the "
            "format with -o csv or -o jsonl\n");
  EXPECT_EQ(Read("runs.json"), "earlier");
  EXPECT_EQ(
      cli_.Run({"result", "export", "--experiment", "exp-1", Path("runs.json"), "-o", "jsonl"})
          .exit,
      0);
  EXPECT_THAT(Read("runs.json"), StartsWith("{\"experiment\""));
}

TEST_F(ResultExport, WrongPlacesAndNames) {
  EXPECT_EQ(cli_.Run({"result", "export", "--experiment", "exp-1", Path("no/runs.csv")}).exit, 2);
  EXPECT_EQ(cli_.Run({"result", "export", Path("runs.csv")}).exit, 2);
}

TEST_F(ResultExport, ComparesCells) {
  CliOutcome outcome = cli_.Run(
      {"result", "compare", "exp-1/model=tiny-f16", "exp-1/model=tiny-q8_0", "-o", "json"});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  const Json rows = Json::parse(outcome.out);
  ASSERT_FALSE(rows.empty());
  EXPECT_EQ(rows[0]["cell_a"], "model=tiny-f16");
  EXPECT_EQ(rows[0]["cell_b"], "model=tiny-q8_0");
  outcome = cli_.Run({"result", "compare", "exp-1", "exp-1/model=tiny-q8_0"});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("VERDICT"));
  EXPECT_THAT(outcome.out, ::testing::Not(HasSubstr("tiny-f16")));
  EXPECT_EQ(cli_.Run({"result", "compare", "exp-1/model=x", "exp-1"}).exit, 2);
  EXPECT_EQ(cli_.Run({"result", "compare", "exp-1"}).exit, 2);
}

}  // namespace
}  // namespace joulefarm::cli
