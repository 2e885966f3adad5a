// Queries of an operator: what they may do, and what stops them.
#include "controller/store/reader.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

namespace fs = std::filesystem;

struct Table {
  absl::Status status;
  std::vector<v1::TableChunk> chunks;
  std::string Text() const {
    std::string out;
    for (const v1::TableChunk& chunk : chunks) {
      for (const v1::Row& row : chunk.rows()) absl::StrAppend(&out, row.ShortDebugString(), "\n");
    }
    return out;
  }
  int Rows() const {
    int rows = 0;
    for (const v1::TableChunk& chunk : chunks) rows += chunk.rows_size();
    return rows;
  }
};

Table Sql(Reader& reader, const std::string& query) {
  Table table;
  table.status = reader.Sql(query, [&table](v1::TableChunk chunk) {
    table.chunks.push_back(std::move(chunk));
    return true;
  });
  return table;
}

class ReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = OpenStore(path_);
    ASSERT_NE(store_, nullptr);
    AddLeasedJob(*store_);
    Open({});
  }
  void Open(ReaderOptions options) {
    auto reader = Reader::Open(path_, options);
    ASSERT_TRUE(reader.ok()) << reader.status();
    reader_ = *std::move(reader);
  }
  Table Sql(const std::string& query) { return controller::Sql(*reader_, query); }

  TempDir dir_;
  const std::string path_ = dir_.File("farm.db");
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<Reader> reader_;
};

TEST_F(ReaderTest, ValuesKeepTheirTypes) {
  const Table table = Sql("SELECT 1 AS i, 2.5 AS r, 'x' AS t, x'00ff' AS b, NULL AS n");
  ASSERT_TRUE(table.status.ok()) << table.status;
  ASSERT_EQ(table.chunks.size(), 1u);
  const v1::TableChunk& chunk = table.chunks[0];
  ASSERT_EQ(chunk.columns_size(), 5);
  EXPECT_EQ(chunk.columns(0).name(), "i");
  EXPECT_EQ(chunk.columns(0).kind(), v1::COLUMN_KIND_NUMBER);
  EXPECT_EQ(chunk.columns(1).kind(), v1::COLUMN_KIND_NUMBER);
  EXPECT_EQ(chunk.columns(2).kind(), v1::COLUMN_KIND_TEXT);
  const v1::Row& row = chunk.rows(0);
  EXPECT_EQ(row.cells(0).integer(), 1);
  EXPECT_EQ(row.cells(1).real(), 2.5);
  EXPECT_EQ(row.cells(2).text(), "x");
  EXPECT_EQ(row.cells(3).blob(), std::string("\0\xFF", 2));
  EXPECT_EQ(row.cells(4).value_case(), v1::Cell::VALUE_NOT_SET);
}

TEST_F(ReaderTest, AnEmptyResultStillHasItsColumns) {
  const Table table = Sql("SELECT id FROM job WHERE id = 'none'");
  ASSERT_TRUE(table.status.ok());
  ASSERT_EQ(table.chunks.size(), 1u);
  EXPECT_EQ(table.chunks[0].columns(0).name(), "id");
  EXPECT_EQ(table.Rows(), 0);
}

TEST_F(ReaderTest, SeesTheLatestCommit) {
  EXPECT_EQ(Sql("SELECT id FROM experiment").Rows(), 1);
  ASSERT_TRUE(store_->Commit({MakeExperiment(2)}).ok());
  EXPECT_EQ(Sql("SELECT id FROM experiment").Rows(), 2);
}

TEST_F(ReaderTest, ViewsAndTheFunctionsTheyNeedWork) {
  EXPECT_TRUE(Sql("SELECT * FROM result").status.ok());
  EXPECT_TRUE(Sql("SELECT * FROM result_summary").status.ok());
  EXPECT_TRUE(Sql("SELECT sqrt(2), json_extract(params, '$.threads') FROM job").status.ok());
  EXPECT_TRUE(
      Sql("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 5) SELECT n FROM c")
          .status.ok());
  EXPECT_TRUE(Sql("SELECT name FROM pragma_table_info('job')").status.ok());
  EXPECT_EQ(Sql("SELECT value FROM job, json_each(job.params)").Rows(), 1);
  EXPECT_TRUE(Sql("PRAGMA table_info(job)").status.ok());
  EXPECT_TRUE(Sql("PRAGMA user_version").status.ok());
  EXPECT_TRUE(Sql("EXPLAIN QUERY PLAN SELECT * FROM job").status.ok());
  EXPECT_TRUE(Sql("SELECT sql FROM sqlite_schema").status.ok());
  EXPECT_TRUE(Sql("SELECT 1; -- a comment\n /* and another */ ").status.ok());
}

TEST_F(ReaderTest, NothingElseIsAllowed) {
  const std::string attached = dir_.File("other.db");
  for (const std::string& query :
       std::vector<std::string>{"INSERT INTO farm_event VALUES (1, 1, 'x', 'y', 'z')",
                                "UPDATE job SET state = 'FAILED'",
                                "UPDATE sqlite_master SET sql = 'x'",
                                "UPDATE sqlite_schema SET name = 'x'",
                                "DELETE FROM job",
                                "DROP TABLE job",
                                "CREATE TABLE x (a)",
                                "CREATE TEMP TABLE x (a)",
                                "CREATE TEMP VIEW x AS SELECT 1",
                                "ALTER TABLE job ADD COLUMN x",
                                "VACUUM",
                                "VACUUM INTO '" + attached + "'",
                                "REINDEX",
                                "ANALYZE",
                                "BEGIN",
                                "BEGIN IMMEDIATE",
                                "COMMIT",
                                "SAVEPOINT a",
                                "ATTACH '" + attached + "' AS other",
                                "DETACH main",
                                "PRAGMA user_version = 5",
                                "PRAGMA journal_mode = DELETE",
                                "PRAGMA writable_schema = 1",
                                "PRAGMA query_only = 0",
                                "PRAGMA wal_checkpoint(TRUNCATE)",
                                "PRAGMA temp_store_directory = '/tmp'",
                                "SELECT load_extension('x')",
                                "INSERT INTO job SELECT * FROM job RETURNING id",
                                "CREATE VIRTUAL TABLE x USING fts5(a)",
                                "WITH a AS (SELECT 1) DELETE FROM job"}) {
    const Table table = Sql(query);
    EXPECT_EQ(table.status.code(), absl::StatusCode::kInvalidArgument)
        << query << ": " << table.status;
    EXPECT_TRUE(table.chunks.empty()) << query;
  }
  EXPECT_FALSE(fs::exists(attached));
  EXPECT_EQ(Sql("SELECT id FROM job WHERE state = 'ACTIVE'").Rows(), 1);
  EXPECT_EQ(Query(path_, "PRAGMA user_version"), absl::StrCat(reader_->schema_version()));
}

TEST_F(ReaderTest, ARefusalSaysWhy) {
  const Table table = Sql("DELETE FROM job");
  EXPECT_NE(table.status.ToString().find("only SELECT is allowed"), std::string::npos)
      << table.status;
}

TEST_F(ReaderTest, OneStatementAtATime) {
  for (const char* query :
       {"SELECT 1; SELECT 2", "SELECT 1; DELETE FROM job", "SELECT 1; nonsense"}) {
    const Table table = Sql(query);
    EXPECT_EQ(table.status.code(), absl::StatusCode::kInvalidArgument) << query;
    EXPECT_TRUE(table.chunks.empty()) << query;
  }
  EXPECT_EQ(Sql("").status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Sql("  -- nothing").status.code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ReaderTest, ErrorsAreSqlitesOwnWithThePlace) {
  const Table table = Sql("SELECT nonsuch FROM job");
  EXPECT_EQ(table.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(table.status.ToString().find("no such column: nonsuch (at character 8)"),
            std::string::npos)
      << table.status;
  // A text in double quotes is a mistyped column, not a text.
  EXPECT_EQ(Sql("SELECT \"nonsuch\" FROM job").status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Sql("SELECT json_extract('{', '$.a')").status.code(),
            absl::StatusCode::kInvalidArgument);
}

constexpr char kEndless[] =
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c";

TEST_F(ReaderTest, ARunawayQueryIsStoppedByItsInstructions) {
  ReaderOptions options;
  options.time_limit = std::chrono::hours(1);
  options.instruction_limit = 100'000;
  Open(options);
  const Table table = Sql(kEndless);
  EXPECT_EQ(table.status.code(), absl::StatusCode::kDeadlineExceeded) << table.status;
  // The connection is as good as new.
  EXPECT_TRUE(Sql("SELECT 1").status.ok());
}

TEST_F(ReaderTest, ARunawayQueryIsStoppedByTime) {
  ReaderOptions options;
  options.time_limit = std::chrono::milliseconds(0);
  Open(options);
  EXPECT_EQ(Sql(kEndless).status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ReaderTest, MoreRowsThanTheCapEndWithAnErrorThatNamesIt) {
  ReaderOptions options;
  options.max_rows = 10;
  Open(options);
  const std::string count = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT ";
  EXPECT_TRUE(Sql(count + "10) SELECT n FROM c").status.ok());
  const Table table = Sql(count + "11) SELECT n FROM c");
  EXPECT_EQ(table.status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(table.status.ToString().find("more than 10 rows"), std::string::npos) << table.status;
  EXPECT_NE(table.status.ToString().find("LIMIT"), std::string::npos) << table.status;
}

TEST_F(ReaderTest, AHugeValueIsRefused) {
  EXPECT_EQ(Sql("SELECT zeroblob(100000000)").status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Sql("SELECT zeroblob(2000000), zeroblob(2000000)").status.code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(ReaderTest, BigTablesComeInParts) {
  ReaderOptions options;
  options.chunk_bytes = 10'000;
  Open(options);
  const Table table =
      Sql("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 1000) SELECT n, "
          "zeroblob(90) FROM c");
  ASSERT_TRUE(table.status.ok());
  EXPECT_EQ(table.Rows(), 1000);
  ASSERT_GT(table.chunks.size(), 8u);
  for (std::size_t i = 0; i < table.chunks.size(); ++i) {
    EXPECT_EQ(table.chunks[i].columns_size(), i == 0 ? 2 : 0);
    EXPECT_LT(table.chunks[i].ByteSizeLong(), 12'000u);
  }
}

TEST_F(ReaderTest, TheSinkMayStop) {
  ReaderOptions options;
  options.chunk_bytes = 100;
  Open(options);
  int chunks = 0;
  const absl::Status status = reader_->Sql(
      "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 10000) SELECT n FROM c",
      [&chunks](const v1::TableChunk&) { return ++chunks < 3; });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(chunks, 3);
}

TEST_F(ReaderTest, ManyThreadsReadWhileTheStoreWrites) {
  std::vector<std::thread> threads;
  std::vector<int> failures(4, 0);
  for (std::size_t t = 0; t < failures.size(); ++t) {
    threads.emplace_back([this, t, &failures] {
      for (int i = 0; i < 50; ++i) {
        const Table table =
            Sql("SELECT (SELECT count(*) FROM experiment) - (SELECT max(number) FROM experiment)");
        if (!table.status.ok() || table.chunks[0].rows(0).cells(0).integer() != 0) ++failures[t];
      }
    });
  }
  for (int number = 2; number < 40; ++number) {
    EXPECT_TRUE(store_->Commit({MakeExperiment(number)}).ok());
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, std::vector<int>(4, 0));
}

TEST_F(ReaderTest, WhatIsNoReadableDatabaseIsRefused) {
  EXPECT_EQ(Reader::Open(dir_.File("none.db")).status().code(), absl::StatusCode::kNotFound);
  std::ofstream(dir_.File("text")) << std::string(4000, 'x');
  EXPECT_EQ(Reader::Open(dir_.File("text")).status().code(), absl::StatusCode::kFailedPrecondition);
  std::ofstream(dir_.File("empty")).close();
  EXPECT_EQ(Reader::Open(dir_.File("empty")).status().code(),
            absl::StatusCode::kFailedPrecondition);
  store_.reset();
  Query(path_, "PRAGMA user_version = 4711");
  const absl::Status newer = Reader::Open(path_).status();
  EXPECT_EQ(newer.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(newer.ToString().find("4711"), std::string::npos) << newer;
}

TEST_F(ReaderTest, AClosedFileIsCompleteByItself) {
  // Also when a reader outlives the store and keeps the log from being removed.
  EXPECT_EQ(Sql("SELECT id FROM job").Rows(), 1);
  store_.reset();
  const TempDir copy;
  fs::copy_file(path_, copy.File("farm.db"));
  JF_ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Reader> reader, Reader::Open(copy.File("farm.db")));
  EXPECT_EQ(controller::Sql(*reader, "SELECT id FROM job").Rows(), 1);
}

TEST_F(ReaderTest, AFileOnAReadOnlyFileSystemCanBeRead) {
  reader_.reset();
  store_.reset();
  const TempDir disk;
  const std::string place = disk.path().string();
  if (mount("jf-test", place.c_str(), "tmpfs", 0, "size=4m") != 0) {
    GTEST_SKIP() << "mounting a tmpfs needs root: " << std::strerror(errno);
  }
  fs::copy_file(path_, disk.File("a%b?#.db"));
  EXPECT_EQ(mount("jf-test", place.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr), 0);
  {
    auto reader = Reader::Open(disk.File("a%b?#.db"));
    EXPECT_TRUE(reader.ok()) << reader.status();
    if (reader.ok()) {
      EXPECT_EQ(controller::Sql(**reader, "SELECT id FROM job").Rows(), 1);
    }
  }
  umount2(place.c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace joulefarm::controller
