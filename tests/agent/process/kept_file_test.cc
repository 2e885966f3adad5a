#include "agent/process/kept_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "agent/process/proc_stat.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

void Write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

TEST(KeptFile, IsReadFromItsBeginningEveryTime) {
  KeptFile file("/proc/self/stat");
  for (int i = 0; i < 3; ++i) {
    const auto text = file.Read();
    ASSERT_TRUE(text);
    const auto stat = ParseProcStat(*text);
    ASSERT_TRUE(stat);
    EXPECT_EQ(stat->pid, getpid());
  }
}

TEST(KeptFile, LongTextsAreWhole) {
  KeptFile file("/proc/self/smaps");
  const auto text = file.Read();
  ASSERT_TRUE(text);
  EXPECT_GT(text->size(), 4096U);
  EXPECT_EQ(text->substr(text->size() - 1), "\n");
}

TEST(KeptFile, OfAProcessThatIsGoneNothingIsRead) {
  const pid_t child = fork();
  if (child == 0) {
    while (true) pause();
  }
  KeptFile file("/proc/" + std::to_string(child) + "/stat");
  EXPECT_TRUE(file.Read());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(file.Read());
}

TEST(KeptFile, ElsewhereAFileMayBeReplacedAndRemoved) {
  const TempDir dir;
  const std::filesystem::path path = dir.path() / "stat";
  KeptFile file(path);
  EXPECT_FALSE(file.Read());
  Write(path, std::string(10'000, 'a'));
  EXPECT_EQ(file.Read(), std::string(10'000, 'a'));
  Write(dir.path() / "other", "b");
  std::filesystem::rename(dir.path() / "other", path);
  EXPECT_EQ(file.Read(), "b");
  std::filesystem::remove(path);
  EXPECT_FALSE(file.Read());
}

}  // namespace
}  // namespace joulefarm::agent
