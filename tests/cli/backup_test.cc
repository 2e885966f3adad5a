// Copies of the database, as files that are complete or not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "controller/store/schema.h"
#include "tests/cli/cli_runner.h"
#include "tests/cli/fake_farm.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Backup : public ::testing::Test {
 protected:
  Backup() : cli_(farm_.address()) {
    std::string pattern = (std::filesystem::temp_directory_path() / "jf-backup-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    file_ = (directory_ / "farm.db").string();
    farm_.OnBackup([content = MakeDatabase()](const auto& send) {
      for (std::size_t at = 0; at < content.size(); at += 1000) send(content.substr(at, 1000));
      return absl::OkStatus();
    });
  }
  ~Backup() override { std::filesystem::remove_all(directory_); }

  // An empty results database.
  std::string MakeDatabase() {
    const std::string path = (directory_ / "original").string();
    sqlite3* handle = nullptr;
    EXPECT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
    for (const controller::Migration& migration : controller::Migrations()) {
      EXPECT_EQ(sqlite3_exec(handle, std::string(migration.sql).c_str(), nullptr, nullptr, nullptr),
                SQLITE_OK)
          << sqlite3_errmsg(handle);
    }
    const std::string pragmas =
        "PRAGMA user_version = " + std::to_string(controller::LatestSchemaVersion()) +
        "; PRAGMA application_id = " + std::to_string(controller::kApplicationId);
    EXPECT_EQ(sqlite3_exec(handle, pragmas.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(handle);
    std::string content = Read(path);
    std::filesystem::remove(path);
    return content;
  }

  static std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::size_t Files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory_),
                                                  std::filesystem::directory_iterator()));
  }

  FakeFarm farm_;
  CliRunner cli_;
  std::filesystem::path directory_;
  std::string file_;
};

TEST_F(Backup, MakesACheckedCopyAndSaysHowBigItIs) {
  const CliOutcome outcome = cli_.Run({"backup", file_});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith(file_ + "  "));
  EXPECT_THAT(outcome.out, HasSubstr("kB  checked\n"));
  EXPECT_EQ(Files(), 1u);
  EXPECT_EQ(cli_.Run({"sql", "--db", file_, "select count(*) as n from run", "-o", "csv"}).out,
            "n\n0\n");
}

TEST_F(Backup, DoesNotReplaceAFileUnlessItIsForced) {
  std::ofstream(file_) << "precious";
  const CliOutcome refused = cli_.Run({"backup", file_});
  EXPECT_EQ(refused.exit, 2);
  EXPECT_THAT(refused.err, HasSubstr("exists: name another file, or replace it with --force"));
  EXPECT_EQ(Read(file_), "precious");
  EXPECT_EQ(cli_.Run({"backup", file_, "--force"}).exit, 0);
  EXPECT_THAT(Read(file_), StartsWith("SQLite format 3"));
  EXPECT_EQ(Files(), 1u);
}

TEST_F(Backup, AFileThatAppearsMeanwhileIsNotReplacedEither) {
  farm_.OnBackup([this, content = MakeDatabase()](const auto& send) {
    send(content);
    std::ofstream(file_) << "precious";
    return absl::OkStatus();
  });
  EXPECT_EQ(cli_.Run({"backup", file_}).exit, 2);
  EXPECT_EQ(Read(file_), "precious");
  EXPECT_EQ(Files(), 1u);
}

TEST_F(Backup, WhatIsBrokenOffLeavesNothing) {
  farm_.OnBackup([](const auto& send) {
    send("SQLite format 3");
    return absl::ResourceExhaustedError("the copy needs 5 MiB and 1 MiB are free: make room there");
  });
  const CliOutcome outcome = cli_.Run({"backup", file_});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_THAT(outcome.err, HasSubstr("make room there"));
  EXPECT_EQ(Files(), 0u);
}

TEST_F(Backup, WhatArrivesDamagedIsThrownAway) {
  farm_.OnBackup([content = MakeDatabase()](const auto& send) {
    send(content.substr(0, content.size() / 2));
    return absl::OkStatus();
  });
  const CliOutcome outcome = cli_.Run({"backup", file_});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_THAT(outcome.err, HasSubstr("the copy is not sound and was thrown away"));
  EXPECT_EQ(Files(), 0u);
}

TEST_F(Backup, ControlCLeavesNothing) {
  farm_.OnBackup([this](const auto& send) {
    cli_.interrupt = true;
    while (send(std::string(1000, 'x'))) {
    }
    return absl::OkStatus();
  });
  EXPECT_EQ(cli_.Run({"backup", file_}).exit, 130);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(Backup, APlaceThatCannotBeWrittenIsSaidAtOnce) {
  const CliOutcome outcome = cli_.Run({"backup", (directory_ / "no" / "farm.db").string()});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("No such file or directory: name a file in a directory you"));
}

}  // namespace
}  // namespace joulefarm::cli
