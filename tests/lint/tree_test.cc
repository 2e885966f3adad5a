// Rules about the tree as a whole: nothing unfinished, nothing of one machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/lint/sources.h"

namespace joulefarm::lint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

// Assembled, so that this file does not break its own rule.
std::string Word(const char* first, const char* second) { return absl::StrCat(first, second); }

// Numbers of the lines that put something off.
std::vector<int> Unfinished(const std::string& text) {
  static const std::regex kPattern(
      absl::StrCat("\\b(", Word("TO", "DO"), "|", Word("FIX", "ME"), "|", Word("XX", "X"), ":)"));
  std::vector<int> numbers;
  int number = 0;
  for (const std::string& line : Lines(text)) {
    ++number;
    if (std::regex_search(line, kPattern)) numbers.push_back(number);
  }
  return numbers;
}

TEST(TreeTest, NothingIsLeftForLater) {
  // The commands of deploy/ and .ci/ have no extension.
  const std::vector<std::string> extensions = {
      "", ".h", ".cc", ".proto", ".sh", ".sql", ".txt", ".yaml", ".cmake", ".service", ".rules"};
  std::set<std::string> seen;
  std::vector<std::string> found;
  for (const char* folder :
       {".ci", "proto", "common", "controller", "agent", "cli", "deploy", "tests"}) {
    for (const std::string& file : Files(folder, extensions)) {
      seen.insert(file);
      for (const int number : Unfinished(ReadFile(Root() / file))) {
        found.push_back(absl::StrCat(file, ":", number));
      }
    }
  }
  EXPECT_THAT(found, IsEmpty());
  EXPECT_THAT(seen, IsSupersetOf({".ci/run", "deploy/bench", "deploy/demo", "deploy/lint",
                                  "deploy/test", "deploy/lib/common.sh", "agent/main.cc"}));
}

TEST(TreeTest, WhatIsLeftForLaterIsFound) {
  const std::string note = Word("TO", "DO");
  EXPECT_THAT(Unfinished(absl::StrCat("#!/bin/sh\n# ", note, ": more\n")), ElementsAre(2));
  EXPECT_THAT(Unfinished(absl::StrCat("// ", Word("FIX", "ME"), "\n")), ElementsAre(1));
  EXPECT_THAT(Unfinished("state=$(mktemp -d -- x.XXX)\n"), IsEmpty());
}

TEST(TreeTest, TheTopLevelIsAsAgreed) {
  const std::set<std::string> agreed = {
      "proto",     "controller", "agent",          "common",
      "cli",       "deploy",     "tests",          "docs",
      "README.md", "LICENSE",    "CMakeLists.txt", "CMakePresets.json",
      "build"};
  std::vector<std::string> strangers;
  for (const auto& entry : std::filesystem::directory_iterator(Root())) {
    const std::string name = entry.path().filename().string();
    if (absl::StartsWith(name, ".") || agreed.count(name) > 0) continue;
    strangers.push_back(name);
  }
  EXPECT_THAT(strangers, IsEmpty());
}

TEST(TreeTest, LinksBetweenPagesLeadSomewhere) {
  static const std::regex kLink(R"(\]\(([^)#:]+)(#[^)]*)?\))");
  std::vector<std::string> dead;
  std::vector<std::string> pages = Files("docs", {".md"});
  pages.push_back("README.md");
  for (const std::string& page : pages) {
    const std::string text = ReadFile(Root() / page);
    for (auto it = std::sregex_iterator(text.begin(), text.end(), kLink);
         it != std::sregex_iterator(); ++it) {
      const std::filesystem::path target = (Root() / page).parent_path() / (*it)[1].str();
      if (!std::filesystem::exists(target))
        dead.push_back(absl::StrCat(page, ": ", (*it)[1].str()));
    }
  }
  EXPECT_GE(pages.size(), 12U);
  EXPECT_THAT(dead, IsEmpty());
}

}  // namespace
}  // namespace joulefarm::lint
