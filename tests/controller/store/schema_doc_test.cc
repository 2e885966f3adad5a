// docs/schema.md and the schema say the same: every table, view and column, each in its own
// section.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

// Words in backquotes in the first column of the table of each "## Table `x`" or "## View `x`"
// section, by x.
std::map<std::string, std::set<std::string>> DocumentedColumns() {
  std::ifstream file("docs/schema.md");
  EXPECT_TRUE(file) << "run from the source root";
  std::map<std::string, std::set<std::string>> sections;
  std::string section;
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "## ")) {
      const bool of_schema =
          absl::StartsWith(line, "## Table `") || absl::StartsWith(line, "## View `");
      const std::vector<std::string> parts = absl::StrSplit(line, '`');
      section = of_schema && parts.size() > 1 ? parts[1] : "";
      if (!section.empty()) sections[section];
    }
    if (section.empty() || !absl::StartsWith(line, "| `")) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, '|');
    const std::vector<std::string> words = absl::StrSplit(cells[1], '`');
    for (std::size_t i = 1; i < words.size(); i += 2) sections[section].insert(words[i]);
  }
  return sections;
}

std::map<std::string, std::set<std::string>> RealColumns() {
  const TempDir dir;
  OpenStore(dir.File("farm.db")).reset();
  const std::string rows =
      Query(dir.File("farm.db"),
            "SELECT m.name, c.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c "
            "WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%'");
  std::map<std::string, std::set<std::string>> tables;
  for (const std::string& row : std::vector<std::string>(absl::StrSplit(rows, ';'))) {
    const std::vector<std::string> pair = absl::StrSplit(row, '|');
    tables[pair.at(0)].insert(pair.at(1));
  }
  return tables;
}

TEST(SchemaDocTest, EveryColumnIsDescribedInItsSectionAndNoneThatDoesNotExist) {
  const auto real = RealColumns();
  const auto documented = DocumentedColumns();
  ASSERT_GT(real.size(), 20u);
  for (const auto& [table, columns] : real) {
    ASSERT_TRUE(documented.count(table) > 0) << "no section for " << table;
    EXPECT_EQ(documented.at(table), columns) << "in the section of " << table;
  }
  EXPECT_EQ(documented.size(), real.size());
}

TEST(SchemaDocTest, TheTablesAreThoseOfTheInterface) {
  const auto real = RealColumns();
  for (const char* name :
       {"experiment", "job",      "attempt",       "run",         "request",       "phase",
        "metric",     "energy",   "channel",       "trace_chunk", "token_time",    "clock_snapshot",
        "event",      "log",      "stream_cursor", "farm_event",  "device",        "agent",
        "resource",   "artifact", "late_frame",    "result",      "result_summary"}) {
    EXPECT_EQ(real.count(name), 1u) << name;
  }
}

}  // namespace
}  // namespace joulefarm::controller
