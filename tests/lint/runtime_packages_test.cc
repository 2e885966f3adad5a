// The packages a machine needs to run the programs, as README.md and docs/operations.md have them,
// against what the programs were linked with. Only where dpkg knows Debian 12's names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>

#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/lint/sources.h"

namespace joulefarm::lint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What runs on the machines of a lab; the programs for the demo and the tests stay where they are.
const std::vector<std::string>& Programs() {
  static const auto& kPrograms = *new std::vector<std::string>{
      JOULEFARM_CLI, JOULEFARM_AGENT, JOULEFARM_CONTROLLER, JOULEFARM_TRACE};
  return kPrograms;
}

// Every Debian has them: apt itself is linked with them.
const std::set<std::string>& Everywhere() {
  static const auto& kEverywhere = *new std::set<std::string>{"libc6", "libgcc-s1", "libstdc++6"};
  return kEverywhere;
}

std::string OutputOf(const std::string& command) {
  FILE* shell = ::popen((command + " 2>/dev/null").c_str(), "r");
  if (shell == nullptr) return "";
  std::string text;
  char piece[4096];
  for (size_t n = 0; (n = ::fread(piece, 1, sizeof piece, shell)) > 0;) text.append(piece, n);
  ::pclose(shell);
  return text;
}

// "/usr/lib/x" and "/lib/x" are one file, of which dpkg and ldd name either.
std::string WithoutUsr(const std::string& path) {
  return absl::StartsWith(path, "/usr/lib") ? path.substr(4) : path;
}

std::vector<std::vector<std::string>> Matches(const std::string& text, const std::regex& pattern) {
  std::vector<std::vector<std::string>> found;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), pattern);
       it != std::sregex_iterator(); ++it) {
    found.emplace_back(it->begin(), it->end());
  }
  return found;
}

// Paths of the libraries that a program names itself; what those need in turn is apt's business.
std::set<std::string> LinkedWith(const std::string& program) {
  static const std::regex kNeeded(R"(\(NEEDED\)[^\[]*\[([^\]]+)\])");
  static const std::regex kResolved(R"((\S+) => (/\S+))");
  std::set<std::string> named;
  for (const auto& match :
       Matches(OutputOf(absl::StrCat("LC_ALL=C readelf -d '", program, "'")), kNeeded)) {
    named.insert(match[1]);
  }
  std::set<std::string> paths;
  for (const auto& match : Matches(OutputOf(absl::StrCat("ldd '", program, "'")), kResolved)) {
    if (named.count(match[1]) > 0) paths.insert(WithoutUsr(match[2]));
  }
  return paths;
}

std::set<std::string> PackagesOf(const std::set<std::string>& paths) {
  std::vector<std::string> patterns;
  for (const std::string& path : paths) {
    patterns.push_back(absl::StrCat("'*", path.substr(path.rfind('/')), "'"));
  }
  static const std::regex kOwner(R"(([^\s:]+)(:\w+)?: (/\S+))");
  std::set<std::string> packages;
  for (const auto& match :
       Matches(OutputOf(absl::StrCat("LC_ALL=C dpkg-query -S ", absl::StrJoin(patterns, " "))),
               kOwner)) {
    if (paths.count(WithoutUsr(match[3])) > 0 && Everywhere().count(match[1]) == 0) {
      packages.insert(match[1]);
    }
  }
  return packages;
}

// The names of every line of a page that installs libraries.
std::vector<std::string> InstallLines(const std::string& page) {
  std::vector<std::string> found;
  for (const std::string& line : Lines(page)) {
    if (absl::StartsWith(line, "sudo apt install ") && absl::StrContains(line, " libgrpc++")) {
      found.push_back(line);
    }
  }
  return found;
}

TEST(RuntimePackagesTest, ThePagesNameExactlyWhatTheProgramsAreLinkedWith) {
  if (!absl::StrContains(OutputOf("cat /etc/os-release"), "VERSION_CODENAME=bookworm")) {
    GTEST_SKIP() << "the packages are Debian 12's, which this machine is not";
  }
  if (OutputOf("command -v readelf").empty() || OutputOf("command -v ldd").empty() ||
      OutputOf("command -v dpkg-query").empty()) {
    GTEST_SKIP() << "readelf, ldd and dpkg-query are needed to look";
  }
  std::set<std::string> paths;
  for (const std::string& program : Programs()) {
    const std::set<std::string> of_one = LinkedWith(program);
    EXPECT_FALSE(of_one.empty()) << program;
    paths.insert(of_one.begin(), of_one.end());
  }
  const std::string line = absl::StrCat("sudo apt install ", absl::StrJoin(PackagesOf(paths), " "));
  for (const char* page : {"README.md", "docs/operations.md"}) {
    EXPECT_THAT(InstallLines(ReadFile(Root() / page)), ElementsAre(line)) << page;
  }
}

TEST(RuntimePackagesTest, ALibraryNobodyInstalledHasNoPackage) {
  EXPECT_THAT(PackagesOf({"/lib/nowhere/libjoulefarm-no-such.so.1"}), IsEmpty());
  EXPECT_THAT(LinkedWith("/nonexistent"), IsEmpty());
}

}  // namespace
}  // namespace joulefarm::lint
