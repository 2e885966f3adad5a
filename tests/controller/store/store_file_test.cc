// The store as a file: opening, refusing, going on after a crash.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "controller/store/schema.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

namespace fs = std::filesystem;

absl::Status OpenError(const std::string& path) {
  return SqliteStore::Open(path, TestOptions()).status();
}

bool Says(const absl::Status& status, const std::string& words) {
  return status.ToString().find(words) != std::string::npos;
}

TEST(StoreFileTest, ANewFileHasTheSettingsOfTheFirstVersion) {
  const TempDir dir;
  auto store = OpenStore(dir.File("farm.db"));
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->schema_version(), LatestSchemaVersion());
  EXPECT_GE(LatestSchemaVersion(), 1);
  EXPECT_EQ(Query(dir.File("farm.db"), "PRAGMA user_version"), absl::StrCat(LatestSchemaVersion()));
  EXPECT_EQ(Query(dir.File("farm.db"), "PRAGMA journal_mode"), "wal");
  EXPECT_EQ(Query(dir.File("farm.db"), "PRAGMA page_size"), "8192");
  EXPECT_EQ(Query(dir.File("farm.db"), "PRAGMA auto_vacuum"), "2");
  EXPECT_EQ(Query(dir.File("farm.db"), "PRAGMA integrity_check"), "ok");
}

TEST(StoreFileTest, EveryTableIsStrict) {
  const TempDir dir;
  auto store = OpenStore(dir.File("farm.db"));
  EXPECT_EQ(Query(dir.File("farm.db"),
                  "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND "
                  "strict = 0 "
                  "AND name NOT LIKE 'sqlite_%'"),
            "");
}

TEST(StoreFileTest, ReopeningContinuesTheCursors) {
  const TempDir dir;
  auto store = OpenStore(dir.File("farm.db"));
  AddLeasedJob(*store);
  ASSERT_TRUE(store->Ingest({MakeFrame(1, v1::STREAM_LOG, 1, LogOf({"a"}))}).ok());
  store.reset();
  store = OpenStore(dir.File("farm.db"));
  JF_ASSERT_OK_AND_ASSIGN(const IngestOutcome outcome,
                          store->Ingest({MakeFrame(1, v1::STREAM_LOG, 2, LogOf({"b"})),
                                         MakeFrame(1, v1::STREAM_LOG, 5, LogOf({"e"}))}));
  EXPECT_EQ(Text(outcome.response.acks()), "1/0/log=2");
  EXPECT_EQ(Text(outcome.response.resume_from()), "1/0/log=2");
}

TEST(StoreFileTest, ANewerDatabaseIsRefusedWithBothVersions) {
  const TempDir dir;
  OpenStore(dir.File("farm.db")).reset();
  Query(dir.File("farm.db"), "PRAGMA user_version = 4711");
  const absl::Status status = OpenError(dir.File("farm.db"));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Says(status, "4711")) << status;
  EXPECT_TRUE(Says(status, absl::StrCat("up to ", LatestSchemaVersion()))) << status;
  EXPECT_TRUE(Says(status, "newer Joulefarm")) << status;
}

TEST(StoreFileTest, AFileThatIsNoDatabaseIsRefusedAndLeftAlone) {
  const TempDir dir;
  const std::string text(5000, 'x');
  std::ofstream(dir.File("notes.txt")) << text;
  const absl::Status status = OpenError(dir.File("notes.txt"));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_TRUE(Says(status, "notes.txt is not a readable SQLite database")) << status;
  EXPECT_EQ(fs::file_size(dir.File("notes.txt")), text.size());
}

TEST(StoreFileTest, AnotherProgramsDatabaseIsRefusedAndLeftAlone) {
  const TempDir dir;
  std::ofstream(dir.File("other.db")).close();
  Query(dir.File("other.db"), "CREATE TABLE mail (id INTEGER)");
  const absl::Status status = OpenError(dir.File("other.db"));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_TRUE(Says(status, "another program")) << status;
  EXPECT_EQ(Query(dir.File("other.db"), "SELECT name FROM sqlite_schema"), "mail");
}

TEST(StoreFileTest, AnEmptyFileBecomesADatabase) {
  const TempDir dir;
  std::ofstream(dir.File("farm.db")).close();
  EXPECT_TRUE(OpenError(dir.File("farm.db")).ok());
}

TEST(StoreFileTest, PlacesThatCannotHoldAFileAreNamed) {
  const TempDir dir;
  const absl::Status missing = OpenError(dir.File("none/farm.db"));
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound) << missing;
  EXPECT_TRUE(Says(missing, "none is not a directory")) << missing;
  const absl::Status directory = OpenError(dir.path().string());
  EXPECT_EQ(directory.code(), absl::StatusCode::kFailedPrecondition) << directory;
  EXPECT_EQ(OpenError("/proc/farm.db").ok(), false);
}

TEST(StoreFileTest, ADatabaseLockedByAnotherProcessIsUnavailable) {
  const TempDir dir;
  auto store = OpenStore(dir.File("farm.db"));
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(dir.File("farm.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const absl::Status status = store->Commit({MakeExperiment(1)});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_TRUE(Says(status, "another process holds the database")) << status;
  sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr);
  EXPECT_TRUE(store->Commit({MakeExperiment(1)}).ok());
  store.reset();
  ASSERT_EQ(sqlite3_exec(other, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", nullptr,
                         nullptr, nullptr),
            SQLITE_OK);
  const absl::Status refused = OpenError(dir.File("farm.db"));
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable) << refused;
  EXPECT_TRUE(Says(refused, "another process holds the database")) << refused;
  sqlite3_close(other);
  EXPECT_TRUE(OpenError(dir.File("farm.db")).ok());
}

// What a power cut leaves: the file and its log as they were at some moment, never the index of the
// log.
class CrashTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = OpenStore(dir_.File("farm.db"));
    ASSERT_NE(store_, nullptr);
    AddLeasedJob(*store_);
  }
  void IngestLog(std::int64_t seq) {
    auto outcome = store_->Ingest(
        {MakeFrame(1, v1::STREAM_LOG, 2 * seq - 1, LogOf({"a", "b"})),
         MakeFrame(1, v1::STREAM_LOG, 2 * seq, LogOf({std::string(3000, 'x'), "d"}))});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
  }
  // Opens a copy whose log is cut at `wal_bytes`; returns how many frames it has.
  std::int64_t FramesInCopy(std::uintmax_t wal_bytes) {
    const TempDir copy;
    fs::copy_file(dir_.File("farm.db"), copy.File("farm.db"));
    fs::copy_file(dir_.File("farm.db-wal"), copy.File("farm.db-wal"));
    fs::resize_file(copy.File("farm.db-wal"), wal_bytes);
    auto store = SqliteStore::Open(copy.File("farm.db"), TestOptions());
    if (!store.ok()) {
      ADD_FAILURE() << store.status();
      return -1;
    }
    auto cursors = (*store)->Cursors(1);
    EXPECT_TRUE(cursors.ok());
    const std::int64_t frames = cursors->empty() ? 0 : cursors->at(0).last_seq();
    EXPECT_EQ(Query(copy.File("farm.db"), "SELECT count(*) FROM log"), absl::StrCat(2 * frames));
    EXPECT_EQ(Query(copy.File("farm.db"), "PRAGMA integrity_check"), "ok");
    return frames;
  }

  TempDir dir_;
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(CrashTest, EveryCommitThatReturnedIsInACopy) {
  for (int seq = 1; seq <= 5; ++seq) {
    IngestLog(seq);
    EXPECT_EQ(FramesInCopy(fs::file_size(dir_.File("farm.db-wal"))), 2 * seq);
  }
  ASSERT_TRUE(store_->Checkpoint().ok());
  IngestLog(6);
  EXPECT_EQ(FramesInCopy(fs::file_size(dir_.File("farm.db-wal"))), 12);
}

TEST_F(CrashTest, ATornLogHasWholeCommitsOnly) {
  for (int seq = 1; seq <= 4; ++seq) IngestLog(seq);
  const std::uintmax_t whole = fs::file_size(dir_.File("farm.db-wal"));
  std::int64_t last = 8;
  // From the end to the start of the frames' part of the log, in odd steps: never a half, never
  // more than before.
  for (std::uintmax_t cut = whole; last > 0 && cut > 1000; cut -= 999) {
    const std::int64_t frames = FramesInCopy(cut);
    EXPECT_EQ(frames % 2, 0) << "a commit has two frames";
    EXPECT_LE(frames, last);
    last = frames;
  }
  EXPECT_EQ(last, 0);
}

TEST_F(CrashTest, AFinalThatWasAcknowledgedIsFinalisedAfterTheCrash) {
  IngestLog(1);
  ASSERT_TRUE(
      store_->Ingest({MakeFrame(1, v1::STREAM_FINAL, 1, FinalOf({{v1::STREAM_LOG, 2}}))}).ok());
  const TempDir copy;
  fs::copy_file(dir_.File("farm.db"), copy.File("farm.db"));
  fs::copy_file(dir_.File("farm.db-wal"), copy.File("farm.db-wal"));
  auto store = OpenStore(copy.File("farm.db"));
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(*store->Unfinalised(), std::vector<Fence>{1});
  EXPECT_TRUE(store->ReadAttempt(1).ok());
}

}  // namespace
}  // namespace joulefarm::controller
