// `joulefarm sql`, through a controller of our own and on a file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>

#include "controller/store/schema.h"
#include "tests/cli/cli_runner.h"
#include "tests/cli/fake_farm.h"

namespace joulefarm::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Sql : public ::testing::Test {
 protected:
  Sql() : cli_(farm_.address()) {
    farm_.OnSql([this](const std::string& query) -> absl::StatusOr<Table> {
      queries_.push_back(query);
      if (query.find("wrong") != std::string::npos)
        return absl::InvalidArgumentError("no such column: wrong");
      if (query.find("much") != std::string::npos)
        return absl::ResourceExhaustedError("more than 100000 rows");
      if (query.find("slow") != std::string::npos)
        return absl::DeadlineExceededError("the query took more than 10 s");
      Table table;
      table.columns = {{"n"}, {"label"}};
      if (query.find("none") == std::string::npos)
        table.rows = {{1.5, std::string("a")}, {std::int64_t{12}, Value()}};
      return table;
    });
  }

  FakeFarm farm_;
  CliRunner cli_;
  std::vector<std::string> queries_;
};

constexpr char kAnswer[] =
    "  n  label\n"
    "1.5  a\n"
    " 12  -\n";

TEST_F(Sql, AsksTheController) {
  CliOutcome outcome = cli_.Run({"sql", "select n, label from t"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(outcome.out, kAnswer);
  outcome = cli_.Run({"sql", "-o", "jsonl", "select 1; select 2"});
  EXPECT_EQ(
      outcome.out.size(),
      2 * std::string("{\"n\": 1.5, \"label\": \"a\"}\n{\"n\": 12, \"label\": null}\n").size());
  EXPECT_THAT(queries_, ElementsAre("select n, label from t", "select 1;", "select 2"));
}

TEST_F(Sql, ErrorsOfAQueryAreTheAskers) {
  EXPECT_EQ(cli_.Run({"sql", "select wrong"}).exit, 2);
  EXPECT_EQ(cli_.Run({"sql", "select much"}).exit, 2);
  const CliOutcome outcome = cli_.Run({"sql", "select slow"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("took more than 10 s\nAsk for less"));
  EXPECT_EQ(cli_.Run({"sql", " -- nothing"}).exit, 2);
}

TEST_F(Sql, NoRowsIsNoError) {
  const CliOutcome outcome = cli_.Run({"sql", "select none"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_EQ(outcome.out, "n  label\n");
  EXPECT_EQ(outcome.err, "No rows.\n");
}

TEST_F(Sql, ReadsStatementsFromAPipeUntilTheFirstError) {
  cli_.input = "select 1;\nselect\n 2; select wrong;\nselect 3;\n";
  CliOutcome outcome = cli_.Run({"sql"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_EQ(outcome.out, std::string(kAnswer) + kAnswer);
  EXPECT_THAT(queries_, ElementsAre("select 1;", "select\n 2;", "select wrong;"));
  queries_.clear();
  cli_.input = "select 1";
  EXPECT_EQ(cli_.Run({"sql"}).exit, 0);
  EXPECT_THAT(queries_, ElementsAre("select 1"));
}

TEST_F(Sql, ThePromptSurvivesErrors) {
  cli_.terminal = true;
  cli_.environment["NO_COLOR"] = "1";
  cli_.input = "\n.help\nselect wrong;\nselect\n1;\n.tables\n.quit\nselect 9;\n";
  const CliOutcome outcome = cli_.Run({"sql"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_THAT(outcome.out, HasSubstr("sql>   ...> " + std::string(kAnswer) + "sql> "));
  EXPECT_THAT(outcome.out, HasSubstr(".schema [NAME]"));
  EXPECT_THAT(outcome.err, HasSubstr("no such column: wrong"));
  ASSERT_EQ(queries_.size(), 3u);
  EXPECT_THAT(queries_[2], StartsWith("select name, type from sqlite_schema"));
}

class SqlFile : public ::testing::Test {
 protected:
  SqlFile()
      : cli_(""),
        path_((std::filesystem::temp_directory_path() /
               ("jf-cli-sql-" + std::to_string(::getpid()) + ".db"))
                  .string()) {
    sqlite3* handle = nullptr;
    EXPECT_EQ(sqlite3_open(path_.c_str(), &handle), SQLITE_OK);
    const auto run = [&](const std::string& sql) {
      EXPECT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
          << sqlite3_errmsg(handle);
    };
    run("BEGIN");
    for (const controller::Migration& migration : controller::Migrations()) run(migration.sql);
    run("PRAGMA user_version = " + std::to_string(controller::LatestSchemaVersion()));
    run("PRAGMA application_id = " + std::to_string(controller::kApplicationId));
    run("INSERT INTO artifact (name, sha256, size_bytes, format, pushed_wall_ns) VALUES ('tiny', "
        "'ab', 5, 'gguf', 0)");
    run("COMMIT");
    sqlite3_close(handle);
  }
  ~SqlFile() override { std::filesystem::remove(path_); }

  CliRunner cli_;
  std::string path_;
};

TEST_F(SqlFile, AnswersWithoutAController) {
  const CliOutcome outcome = cli_.Run(
      {"sql", "--db", path_, "-o", "json", "select name, size_bytes, quant from artifact"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "[\n  {\"name\": \"tiny\", \"size_bytes\": 5, \"quant\": null}\n]\n");
  EXPECT_EQ(cli_.Run({"sql", "--db", path_, "select count(*) as runs from result"}).out,
            "runs\n   0\n");
}

TEST_F(SqlFile, WritesNothing) {
  EXPECT_EQ(cli_.Run({"sql", "--db", path_, "delete from artifact"}).exit, 2);
  EXPECT_EQ(cli_.Run({"sql", "--db", path_, "-o", "name", "select count(*) from artifact"}).out,
            "1\n");
}

TEST_F(SqlFile, NamesWhatIsNoDatabase) {
  const CliOutcome outcome = cli_.Run({"sql", "--db", path_ + ".missing", "select 1"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr(path_ + ".missing"));
  EXPECT_EQ(cli_.Run({"sql", "--db", path_, "select nonsense"}).exit, 2);
}

}  // namespace
}  // namespace joulefarm::cli
