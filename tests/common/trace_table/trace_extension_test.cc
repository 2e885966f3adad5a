// joulefarm_trace.so as other programs load it: through SQLite's C interface, and in the sqlite3
// shell where there is one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>

#include "tests/common/trace_table/trace_table_testing.h"

namespace joulefarm {
namespace {

using ::testing::HasSubstr;

TEST(TraceExtension, LoadsThroughTheCInterface) {
  TestDatabase database(":memory:");
  database.AddChannel(7, 0, "power", 0.5);
  database.AddChunk(7, 0, "power", {100, 200, 300}, {1, 2, -3});
  ASSERT_EQ(sqlite3_enable_load_extension(database.handle(), 1), SQLITE_OK);
  char* error = nullptr;
  ASSERT_EQ(sqlite3_load_extension(database.handle(), JF_TRACE_EXTENSION, nullptr, &error),
            SQLITE_OK)
      << error;
  EXPECT_EQ(database.Query("SELECT t_ns, value FROM trace(7, 'power')"),
            "100|0.5;200|1.0;300|-1.5");
  database.Run("UPDATE trace_chunk SET data = x'0101'");
  EXPECT_THAT(database.Query("SELECT * FROM trace(7, 'power')"), HasSubstr("is damaged"));
}

TEST(TraceExtension, LoadsInTheShell) {
  if (std::system("command -v sqlite3 > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "there is no sqlite3 shell here";
  const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                     ("jf-trace-extension-" + std::to_string(::getpid()) + ".db");
  {
    TestDatabase database(file.string());
    database.AddChannel(7, 0, "power", 0.5);
    database.AddChunk(7, 0, "power", {100, 200, 300}, {1, 2, -3});
  }
  // Without its ending, as people type it.
  const std::filesystem::path extension =
      std::filesystem::path(JF_TRACE_EXTENSION).replace_extension();
  const std::string command = "sqlite3 -readonly -bail '" + file.string() + "' \".load '" +
                              extension.string() +
                              "'\" \"select t_ns, value from trace(7, 'power') where t_ns > 100\" "
                              "2>&1";
  FILE* shell = ::popen(command.c_str(), "r");
  ASSERT_NE(shell, nullptr);
  std::string out;
  std::array<char, 256> piece;
  while (std::fgets(piece.data(), piece.size(), shell) != nullptr) out += piece.data();
  EXPECT_EQ(::pclose(shell), 0);
  EXPECT_EQ(out, "200|1.0\n300|-1.5\n");
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace joulefarm
