// Which part may include which: docs/architecture.md, "Rules that keep it livable".
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/lint/includes.h"
#include "tests/lint/sources.h"

namespace joulefarm::lint {
namespace {

using ::testing::IsEmpty;

const std::vector<std::string>& Programs() {
  static const auto& kPrograms = *new std::vector<std::string>{"controller/", "agent/", "cli/"};
  return kPrograms;
}

// `sql --db FILE` and the trace functions open a results file themselves.
bool IsSharedReader(const std::string& target) { return target == "controller/store/reader.h"; }

// What the pure cores may include beside what is in angle brackets and belongs to the standard.
const std::vector<std::string>& PureIncludes() {
  static const auto& kPure = *new std::vector<std::string>{
      "absl/",           "joulefarm/v1/",  "common/clock/",    "common/experiment/",
      "common/measure/", "common/sha256/", "common/stats/",    "common/text/",
      "common/trace/",   "common/units/",  "controller/core/", "agent/core/"};
  return kPure;
}

// The rule an include breaks; empty: none.
std::string Broken(const Include& include) {
  const std::string& target = include.target;
  for (const std::string& program : Programs()) {
    if (!absl::StartsWith(target, program)) continue;
    if (absl::StartsWith(include.file, program)) continue;
    if (absl::StartsWith(include.file, "cli/") && IsSharedReader(target)) continue;
    return "proto <- common <- {controller, agent, cli}; the programs never include each other";
  }
  if (absl::StartsWith(target, "tests/")) return "programs do not include tests";
  if (StartsWithAny(include.file, {"controller/core/", "agent/core/"})) {
    if (include.angled ? absl::StrContains(target, "/") || absl::EndsWith(target, ".h")
                       : !StartsWithAny(target, PureIncludes())) {
      return "a core includes the standard library, absl, messages and pure common code only";
    }
  }
  if (absl::StrContains(target, "..")) return "includes are relative to the source root";
  return "";
}

TEST(IncludeRulesTest, EveryIncludeKeepsTheRules) {
  std::vector<std::string> broken;
  const std::vector<Include> includes = IncludesOfTheTree();
  for (const Include& include : includes) {
    const std::string rule = Broken(include);
    if (rule.empty()) continue;
    broken.push_back(
        absl::StrCat(include.file, ":", include.line, ": ", include.target, ": ", rule));
  }
  EXPECT_GT(includes.size(), 1000U) << "the tree was not found below " << Root();
  EXPECT_THAT(broken, IsEmpty());
}

TEST(IncludeRulesTest, TheRulesCatchWhatTheyAreFor) {
  const auto broken = [](const char* file, const char* line) {
    const std::vector<Include> includes = IncludesOf(file, line);
    return includes.size() == 1 && !Broken(includes[0]).empty();
  };
  EXPECT_TRUE(broken("common/x.cc", "#include \"agent/agent.h\""));
  EXPECT_TRUE(broken("cli/x.cc", "#include \"controller/core/farm.h\""));
  EXPECT_FALSE(broken("cli/sql/local_database.cc", "#include \"controller/store/reader.h\""));
  EXPECT_TRUE(broken("controller/core/x.cc", "#include <sqlite3.h>"));
  EXPECT_TRUE(broken("agent/core/x.cc", "#include \"agent/spool/spool.h\""));
  EXPECT_FALSE(broken("agent/core/x.cc", "#include <vector>"));
  EXPECT_TRUE(broken("agent/core/x.cc", "  #  include <spdlog/spdlog.h>"));
  EXPECT_TRUE(broken("common/x.cc", "#include \"../agent/x.h\""));
}

TEST(IncludeRulesTest, EveryHeaderSaysWhoMayCallIt) {
  std::vector<std::string> silent;
  for (const char* folder : {"common", "controller", "agent", "cli"}) {
    for (const std::string& file : Files(folder, {".h"})) {
      std::string comment;
      for (const std::string& line : Lines(ReadFile(Root() / file))) {
        if (!absl::StartsWith(line, "//")) break;
        absl::StrAppend(&comment, line, "\n");
      }
      const bool thread = absl::StrContains(comment, "Thread");
      if (comment.empty() || !thread) silent.push_back(file);
    }
  }
  EXPECT_THAT(silent, IsEmpty()) << "a header opens with its purpose and its thread rule";
}

}  // namespace
}  // namespace joulefarm::lint
