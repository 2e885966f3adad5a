#include "cli/output/text_table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace joulefarm::cli {
namespace {

TextTable Example() {
  TextTable table;
  table.columns = {{"NAME", Align::kLeft, Fit::kShrink},
                   {"N", Align::kRight, Fit::kKeep},
                   {"WHEN", Align::kLeft, Fit::kDrop},
                   {"WHY"}};
  table.rows = {{{"日本 device"}, {"7"}, {"today"}, {""}},
                {{"x"}, {"1234"}, {"yesterday"}, {"FAILED", Style::kBad}}};
  return table;
}

std::string Draw(const TextTable& table, const Look& look) {
  std::ostringstream out;
  Render(table, look, out);
  return out.str();
}

TEST(TextTable, AlignsByDisplayWidthAndEndsLinesCleanly) {
  EXPECT_EQ(Draw(Example(), {}),
            "NAME            N  WHEN       WHY\n"
            "日本 device     7  today\n"
            "x            1234  yesterday  FAILED\n");
}

TEST(TextTable, DropsThenClipsToFit) {
  EXPECT_EQ(Width(Example()), 36);
  EXPECT_EQ(Draw(Example(), {30, false}),
            "NAME            N  WHY\n"
            "日本 device     7\n"
            "x            1234  FAILED\n");
  EXPECT_EQ(Draw(Example(), {22, false}),
            "NAME         N  WHY\n"
            "日本 de…     7\n"
            "x         1234  FAILED\n");
  EXPECT_EQ(Draw(Example(), {36, false}), Draw(Example(), {}));
}

TEST(TextTable, ColoursWrapTextButNotBlanks) {
  const std::string drawn = Draw(Example(), {0, true});
  EXPECT_NE(drawn.find("yesterday  \x1b[31mFAILED\x1b[0m\n"), std::string::npos) << drawn;
  EXPECT_NE(drawn.find("\x1b[1mNAME\x1b[0m "), std::string::npos);
  EXPECT_EQ(Draw(Example(), {}).find('\x1b'), std::string::npos);
}

TEST(TextTable, CellsOfValues) {
  EXPECT_EQ(CellOf(Value(), ColumnKind::kNumber).text, "-");
  EXPECT_EQ(CellOf(1.0 / 3, ColumnKind::kNumber).text, "0.333333");
  EXPECT_EQ(FullCellOf(1.0 / 3).text, "0.3333333333333333");
  EXPECT_EQ(CellOf(std::int64_t{1}, ColumnKind::kBoolean).text, "true");
  EXPECT_EQ(CellOf(std::string("2026-11-21T11:03:04.250Z"), ColumnKind::kTime).text,
            "2026-11-21 11:03:04");
  EXPECT_EQ(CellOf(Blob{"\x01"}, ColumnKind::kText).text, "x'01'");
  EXPECT_EQ(CellOf(Blob{std::string(40, 'a')}, ColumnKind::kText).text.substr(64),
            "61…' (40 bytes)");
}

TEST(TextTable, Record) {
  std::ostringstream out;
  RenderRecord(
      {{"id"}, {"reason"}, {"facts", ColumnKind::kJson}, {"when", ColumnKind::kTime}, {"none"}},
      {std::string("job-2"), std::string("crashed\nlast words\n"),
       std::string(R"({"os":"linux","cores":2})"), std::string("2026-11-21T11:03:04.250Z"),
       Value()},
      {}, out);
  EXPECT_EQ(out.str(),
            "id:      job-2\n"
            "reason:  crashed\n"
            "         last words\n"
            "facts:   os: linux\n"
            "         cores: 2\n"
            "when:    2026-11-21T11:03:04.250Z\n"
            "none:    -\n");
}

TEST(TextTable, ClipsWhereTheTextsStayApart) {
  std::ostringstream out;
  Render({{{"MODEL", Align::kLeft, Fit::kShrink}},
          {{{"qwen2.5-instruct-q8_0"}}, {{"qwen2.5-instruct-q4_0"}}}},
         {12, false}, out);
  EXPECT_EQ(out.str(), "MODEL\nqwen2…t-q8_0\nqwen2…t-q4_0\n");
}

}  // namespace
}  // namespace joulefarm::cli
