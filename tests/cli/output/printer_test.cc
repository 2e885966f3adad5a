#include "cli/output/printer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

namespace joulefarm::cli {
namespace {

Table Example() {
  Table table;
  table.columns = {{"name"},
                   {"id"},
                   {"n", ColumnKind::kNumber},
                   {"ok", ColumnKind::kBoolean},
                   {"more", ColumnKind::kJson}};
  table.rows = {{std::string("a, \"quoted\"\nline"), std::string("id-1"), 0.5, true,
                 std::string("{\"k\":1}")},
                {std::string(""), std::string("id-2"), Value(), std::int64_t{0}, Value()}};
  return table;
}

std::string Print(TableSink& sink, const Table& table, std::ostringstream& out) {
  sink.Begin(table.columns);
  for (const RowValues& row : table.rows) sink.Row(row);
  sink.End();
  return out.str();
}

std::string PrintAs(Format format, const Table& table) {
  std::ostringstream out;
  const auto printer = MakeMachinePrinter(format, out);
  return Print(*printer, table, out);
}

TEST(Printer, NamesOfFormats) {
  EXPECT_EQ(ParseFormat("table"), Format::kTable);
  EXPECT_EQ(ParseFormat("wide"), Format::kWide);
  EXPECT_EQ(ParseFormat("json"), Format::kJson);
  EXPECT_EQ(ParseFormat("jsonl"), Format::kJsonLines);
  EXPECT_EQ(ParseFormat("csv"), Format::kCsv);
  EXPECT_EQ(ParseFormat("name"), Format::kName);
  EXPECT_FALSE(ParseFormat("yaml").has_value());
}

TEST(Printer, Json) {
  EXPECT_EQ(PrintAs(Format::kJson, Example()),
            "[\n"
            "  {\"name\": \"a, \\\"quoted\\\"\\nline\", \"id\": \"id-1\", \"n\": 0.5, \"ok\": "
            "true, \"more\": {\"k\": 1}},\n"
            "  {\"name\": \"\", \"id\": \"id-2\", \"n\": null, \"ok\": false, \"more\": null}\n"
            "]\n");
}

TEST(Printer, JsonOfNothingIsAnEmptyArray) {
  Table table = Example();
  table.rows.clear();
  EXPECT_EQ(PrintAs(Format::kJson, table), "[]\n");
  EXPECT_EQ(PrintAs(Format::kJsonLines, table), "");
}

TEST(Printer, JsonLines) {
  EXPECT_EQ(PrintAs(Format::kJsonLines, Example()),
            "{\"name\": \"a, \\\"quoted\\\"\\nline\", \"id\": \"id-1\", \"n\": 0.5, \"ok\": true, "
            "\"more\": {\"k\": 1}}\n"
            "{\"name\": \"\", \"id\": \"id-2\", \"n\": null, \"ok\": false, \"more\": null}\n");
}

TEST(Printer, CsvTellsNullFromEmpty) {
  EXPECT_EQ(PrintAs(Format::kCsv, Example()),
            "name,id,n,ok,more\n"
            "\"a, \"\"quoted\"\"\nline\",id-1,0.5,true,\"{\"\"k\"\":1}\"\n"
            "\"\",id-2,,false,\n");
}

TEST(Printer, NameIsTheIdOrTheFirstColumn) {
  EXPECT_EQ(PrintAs(Format::kName, Example()), "id-1\nid-2\n");
  Table runs;
  runs.columns = {{"experiment"}, {"job_id"}};
  runs.rows = {{std::string("exp-1"), std::string("job-1")}};
  EXPECT_EQ(PrintAs(Format::kName, runs), "job-1\n");
  runs.columns[1].name = "cell";
  EXPECT_EQ(PrintAs(Format::kName, runs), "exp-1\n");
}

TEST(Printer, WideShowsEveryColumnUnclipped) {
  std::ostringstream out;
  const auto printer = MakeWidePrinter(out, Look{20, false});
  EXPECT_EQ(Print(*printer, Example(), out),
            "name               id      n  ok     more\n"
            "a, \"quoted\"\\nline  id-1  0.5  true   k=1\n"
            "                   id-2    -  false  -\n");
}

TEST(Printer, AStreamThatFailedWantsNoMore) {
  std::ostringstream out;
  const auto printer = MakeJsonPrinter(out);
  EXPECT_TRUE(printer->WantsMore());
  out.setstate(std::ios::badbit);
  EXPECT_FALSE(printer->WantsMore());
}

}  // namespace
}  // namespace joulefarm::cli
