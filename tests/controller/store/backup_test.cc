// Copies of a database somebody writes to.
#include "controller/store/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "controller/store/reader.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

bool Never() { return false; }

class BackupTest : public testing::Test {
 protected:
  BackupTest() : store_(OpenStore(from_)) { AddLeasedJob(*store_); }

  // Many pages, so that a copy takes several steps.
  void Grow() {
    for (std::int64_t seq = 1; seq <= 300; ++seq) {
      ASSERT_TRUE(
          store_->Ingest({MakeFrame(1, v1::STREAM_LOG, seq, LogOf({std::string(60'000, 'x')}))})
              .ok());
    }
  }

  TempDir directory_;
  const std::string from_ = directory_.File("farm.db");
  const std::string to_ = directory_.File("copy.db");
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(BackupTest, TheCopyIsSoundCompleteAndOneFile) {
  Grow();
  JF_EXPECT_OK(CopyDatabase(from_, to_, Never));
  JF_EXPECT_OK(CheckDatabaseFile(to_));
  EXPECT_FALSE(std::filesystem::exists(to_ + "-wal"));
  EXPECT_EQ(Query(to_, "SELECT (SELECT count(*) FROM log), (SELECT count(*) FROM job)"), "300|1");
  EXPECT_EQ(Query(to_, "PRAGMA journal_mode"), "delete");
  // And one can go on from it.
  std::unique_ptr<SqliteStore> again = OpenStore(to_);
  ASSERT_NE(again, nullptr);
  EXPECT_TRUE(again->Commit({MakeJob(2)}).ok());
}

TEST_F(BackupTest, WhatIsWrittenMeanwhileIsNotInItAndDoesNotHoldItUp) {
  Grow();
  int steps = 0;
  JF_EXPECT_OK(CopyDatabase(from_, to_, [&] {
    ++steps;
    EXPECT_TRUE(store_->Commit({MakeJob(1 + steps)}).ok());
    return false;
  }));
  EXPECT_GE(steps, 2);
  EXPECT_LT(steps, 10);
  EXPECT_EQ(Query(to_, "SELECT count(*) FROM job"), "1");
  JF_EXPECT_OK(CheckDatabaseFile(to_));
}

TEST_F(BackupTest, ACopyNobodyWantsIsRemoved) {
  Grow();
  const absl::Status status = CopyDatabase(from_, to_, [] { return true; });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_FALSE(std::filesystem::exists(to_));
  EXPECT_FALSE(std::filesystem::exists(to_ + "-journal"));
}

TEST_F(BackupTest, APlaceThatCannotBeWrittenIsAnError) {
  EXPECT_FALSE(CopyDatabase(from_, directory_.File("no/copy.db"), Never).ok());
}

TEST_F(BackupTest, WhatIsNoSoundDatabaseIsRecognised) {
  std::ofstream(to_)
      << "nonsense, and long enough to be looked at as the header of a database file";
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckDatabaseFile(to_)));
  Grow();
  JF_EXPECT_OK(CopyDatabase(from_, directory_.File("whole.db"), Never));
  const auto size = std::filesystem::file_size(directory_.File("whole.db"));
  std::filesystem::resize_file(directory_.File("whole.db"), size / 2);
  EXPECT_FALSE(CheckDatabaseFile(directory_.File("whole.db")).ok());
}

}  // namespace
}  // namespace joulefarm::controller
