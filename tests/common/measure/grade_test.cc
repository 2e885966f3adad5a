#include "common/measure/grade.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/measure/findings.h"

namespace joulefarm {
namespace {

using ::testing::ElementsAre;

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in) << path << ": run from the source root";
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string Domains(CodeDomain domain) {
  switch (domain) {
    case CodeDomain::kSpeed:
      return "speed";
    case CodeDomain::kEnergy:
      return "energy";
    case CodeDomain::kBoth:
      break;
  }
  return "speed, energy";
}

std::string Grade(v1::Quality quality) {
  return quality == v1::QUALITY_VALID ? "note"
                                      : v1::Quality_Name(quality).substr(sizeof("QUALITY_") - 1);
}

// Rows of the tables of docs/quality.md: `code` | domain | grade | statistic | limit.
std::map<std::string, std::vector<std::string>> DocumentedCodes() {
  std::map<std::string, std::vector<std::string>> rows;
  for (const absl::string_view line : absl::StrSplit(ReadText("docs/quality.md"), '\n')) {
    if (line.substr(0, 3) != "| `") continue;
    std::vector<std::string> cells;
    for (const absl::string_view cell : absl::StrSplit(line, '|')) {
      cells.emplace_back(absl::StripAsciiWhitespace(cell));
    }
    if (cells.size() != 7) {
      ADD_FAILURE() << line;
      continue;
    }
    const std::string code = cells[1].substr(1, cells[1].size() - 2);
    EXPECT_TRUE(
        rows.emplace(code, std::vector<std::string>(cells.begin() + 2, cells.end() - 1)).second)
        << code;
  }
  return rows;
}

TEST(GradeTest, DocumentationAndTableAgree) {
  std::map<std::string, std::vector<std::string>> documented = DocumentedCodes();
  for (const CodeInfo& info : Codes()) {
    const std::string name(info.name);
    EXPECT_THAT(documented[name], ElementsAre(Domains(info.domain), Grade(info.quality),
                                              std::string(info.statistic), std::string(info.limit)))
        << name;
    documented.erase(name);
  }
  for (const auto& [code, cells] : documented)
    ADD_FAILURE() << code << " is documented but not in the table";
}

// Codes written outside of the table, as agents and the store do, are in it.
TEST(GradeTest, NoSourceFileUsesACodeOfItsOwn) {
  std::set<std::string> known;
  for (const CodeInfo& info : Codes()) known.insert(std::string(info.name));
  constexpr absl::string_view kCall = "set_code(\"";
  for (const char* folder : {"agent", "common", "controller"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.path().extension() != ".cc") continue;
      for (const absl::string_view line : absl::StrSplit(ReadText(entry.path()), '\n')) {
        const std::size_t call = line.find(kCall);
        // Other messages have codes too.
        if (call == line.npos || !absl::StrContains(line.substr(0, call), "reason")) continue;
        const absl::string_view rest = line.substr(call + kCall.size());
        const std::string code(rest.substr(0, rest.find('"')));
        EXPECT_TRUE(known.contains(code)) << code << " in " << entry.path();
      }
    }
  }
}

TEST(GradeTest, EveryCodeIsTriggeredByATest) {
  std::string tests;
  for (const char* folder : {"tests/agent", "tests/common", "tests/controller"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      const std::filesystem::path& path = entry.path();
      if (path.extension() == ".cc" && path.filename() != "grade_test.cc") tests += ReadText(path);
    }
  }
  for (const CodeInfo& info : Codes()) {
    // As a whole reason's code inside a string: "loss", "energy loss:2%>1%".
    bool named = false;
    for (const char* before : {"\"", " "}) {
      for (const char* after : {"\"", ":"}) {
        named |= absl::StrContains(tests, absl::StrCat(before, info.name, after));
      }
    }
    EXPECT_TRUE(named) << info.name;
  }
}

TEST(GradeTest, TheWorstReasonDecides) {
  EXPECT_EQ(Worst({}), v1::QUALITY_VALID);
  const std::vector<Finding> findings{MakeFinding(Code::kGapFilled, ""),
                                      MakeFinding(Code::kLoss, "")};
  EXPECT_EQ(Worst({findings.data(), 1}), v1::QUALITY_VALID);
  EXPECT_EQ(Worst(findings), v1::QUALITY_SUSPECT);
}

TEST(GradeTest, DomainsAreTheCodesOwn) {
  EXPECT_EQ(MakeFinding(Code::kLoss, "").domain, v1::DOMAIN_ENERGY);
  EXPECT_EQ(MakeFinding(Code::kCacheHit, "", v1::DOMAIN_ENERGY).domain, v1::DOMAIN_SPEED);
  EXPECT_EQ(MakeFinding(Code::kSuspended, "", v1::DOMAIN_ENERGY).domain, v1::DOMAIN_ENERGY);
}

TEST(GradeTest, TheFirstOfItsKindStandsForAll) {
  std::vector<Finding> findings;
  AddFinding(findings, MakeFinding(Code::kLoss, "2%>1%"));
  AddFinding(findings, MakeFinding(Code::kLoss, "3%>1%"));
  AddFindings(findings, std::vector<Finding>{MakeFinding(Code::kSuspended, "", v1::DOMAIN_SPEED),
                                             MakeFinding(Code::kSuspended, "", v1::DOMAIN_ENERGY)});
  EXPECT_THAT(CodesOf(findings), ElementsAre("loss", "suspended", "suspended"));
  EXPECT_EQ(Detail(findings, "loss"), "2%>1%");
}

TEST(GradeTest, Texts) {
  EXPECT_EQ(Text(MakeFinding(Code::kLoss, "2%>1%")), "loss:2%>1%");
  EXPECT_EQ(Text(MakeFinding(Code::kEstimated, "")), "estimated");
  EXPECT_EQ(Percent(0.0123456), "1.23%");
  EXPECT_EQ(Percent(1), "100%");
}

}  // namespace
}  // namespace joulefarm
