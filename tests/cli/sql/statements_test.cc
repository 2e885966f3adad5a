#include "cli/sql/statements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace joulefarm::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Split(const std::string& text) {
  StatementReader reader;
  reader.Add(text);
  std::vector<std::string> all;
  while (auto statement = reader.Next()) all.push_back(*statement);
  if (auto rest = reader.Rest()) all.push_back("rest: " + *rest);
  return all;
}

TEST(Statements, EndAtSemicolons) {
  EXPECT_THAT(Split("select 1; select 2;\n select 3"),
              ElementsAre("select 1;", "select 2;", "rest: select 3"));
  EXPECT_THAT(Split(" ;; \n ; "), IsEmpty());
}

TEST(Statements, QuotesAndCommentsHideSemicolons) {
  EXPECT_THAT(Split("select 'a;''b;' ; select \"x;y\", `a;`, [b;c];"),
              ElementsAre("select 'a;''b;' ;", "select \"x;y\", `a;`, [b;c];"));
  EXPECT_THAT(Split("select 1 -- one; two\n + 2; /* ; */ select 3;"),
              ElementsAre("select 1 -- one; two\n + 2;", "/* ; */ select 3;"));
  EXPECT_THAT(Split("-- only; a comment\n/* and; another */"), IsEmpty());
  EXPECT_THAT(Split("select 'open; never closed"), ElementsAre("rest: select 'open; never closed"));
}

TEST(Statements, GrowLineByLine) {
  StatementReader reader;
  reader.Add("select 'a\n");
  EXPECT_FALSE(reader.Next().has_value());
  EXPECT_TRUE(reader.Pending());
  reader.Add("b';\n");
  EXPECT_EQ(reader.Next(), "select 'a\nb';");
  EXPECT_FALSE(reader.Pending());
  EXPECT_FALSE(reader.Rest().has_value());
}

}  // namespace
}  // namespace joulefarm::cli
