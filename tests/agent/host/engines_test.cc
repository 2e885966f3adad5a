#include "agent/host/engines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class EnginesTest : public testing::Test {
 protected:
  std::filesystem::path Program(const std::string& directory, const std::string& script,
                                bool executable = true) {
    tree_.Write(directory + "/llama-server", "#!/bin/sh\n" + script + "\n");
    const std::filesystem::path program = tree_.root() / directory / "llama-server";
    std::filesystem::permissions(program, executable ? std::filesystem::perms::owner_all
                                                     : std::filesystem::perms::owner_read);
    return program;
  }
  std::filesystem::path Dir(const std::string& name) { return tree_.root() / name; }

  HostTree tree_;
  const StopFd never_{std::stop_token{}};
};

TEST_F(EnginesTest, ConfiguredDirectoriesComeFirstThenTheEngineDirThenPath) {
  Program("a", "echo 'version: 1 (a)'");
  Program("b", "echo 'version: 2 (b)' >&2");
  Program("c", "echo 'version: 3 (c)'");
  EngineSearch search;
  search.path = Dir("empty").string() + ":" + Dir("c").string();
  EXPECT_EQ(FindEngines(search, never_).engines.at(0).version(), "3 (c)");
  search.engine_dir = Dir("b");
  EXPECT_EQ(FindEngines(search, never_).engines.at(0).version(), "2 (b)");
  search.dirs = {Dir("a")};
  const FoundEngines found = FindEngines(search, never_);
  ASSERT_THAT(found.engines, SizeIs(1));
  EXPECT_EQ(found.engines[0].name(), "llama.cpp");
  EXPECT_EQ(found.engines[0].version(), "1 (a)");
  EXPECT_EQ(found.engines[0].path(), (Dir("a") / "llama-server").string());
  EXPECT_THAT(DescribeSearch(search), HasSubstr(Dir("a").string()));
  EXPECT_THAT(SearchedDirectories(search), ElementsAre(Dir("a"), Dir("b"), Dir("empty"), Dir("c")));
}

TEST_F(EnginesTest, UnusableOnesAreNotedAndPassedOver) {
  Program("broken", "echo no runtime; exit 127");
  Program("plain", "", false);
  Program("good", "echo 'version: 5'");
  EngineSearch search;
  search.dirs = {Dir("none"), Dir("broken"), Dir("good")};
  const FoundEngines found = FindEngines(search, never_);
  EXPECT_EQ(found.engines.at(0).version(), "5");
  ASSERT_THAT(found.notes, SizeIs(1));
  EXPECT_THAT(found.notes[0], HasSubstr("cannot be used (exit code 127): no runtime"));
}

TEST_F(EnginesTest, OneThatSaysNothingInTimeIsListedWithoutVersion) {
  Program("slow", "sleep 1000");
  EngineSearch search;
  search.dirs = {Dir("slow")};
  search.version_timeout_ns = 20'000'000;
  const FoundEngines found = FindEngines(search, never_);
  EXPECT_EQ(found.engines.at(0).version(), "");
  EXPECT_THAT(found.notes, SizeIs(1));
}

TEST(ParseLlamaVersion, OldAndNew) {
  EXPECT_EQ(
      ParseLlamaVersion("version: 0.7.0 (build 11669, commit Debian)\nbuilt with GNU 16.2.0\n"),
      "0.7.0 (build 11669, commit Debian)");
  EXPECT_EQ(ParseLlamaVersion("ggml_init\nversion: 4567 (abcdef)\n"), "4567 (abcdef)");
  EXPECT_EQ(ParseLlamaVersion("usage"), "");
}

}  // namespace
}  // namespace joulefarm::agent
