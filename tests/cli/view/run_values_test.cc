#include "cli/view/run_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulefarm::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

Table OneRun(const std::vector<std::pair<std::string, Value>>& values) {
  Table table;
  table.rows.emplace_back();
  for (const auto& [name, value] : values) {
    table.columns.push_back({name, ColumnKind::kNumber});
    table.rows[0].push_back(value);
  }
  return table;
}

TEST(RunValues, MeasuredComesBeforeEstimatedAndKeepsNoMark) {
  const Table both = OneRun({{"j_per_decode_token", 0.05},
                             {"j_per_decode_token_u", 0.001},
                             {"j_per_decode_token_est", 0.06}});
  EXPECT_EQ(EnergyCell(DecodeJoulesPerToken(both, both.rows[0])).text, "0.0500 ± 0.0010");
}

TEST(RunValues, EveryOtherSourceIsMarked) {
  const Table estimated = OneRun({{"j_per_decode_token", Value()},
                                  {"j_per_decode_token_est", 0.06},
                                  {"j_per_decode_token_est_u", 0.02}});
  EXPECT_EQ(EnergyCell(DecodeJoulesPerToken(estimated, estimated.rows[0])).text, "~0.060 ± 0.020");
  const Table simulated = OneRun({{"j_per_decode_token_sim", 0.06}});
  EXPECT_EQ(EnergyCell(DecodeJoulesPerToken(simulated, simulated.rows[0])).text, "sim 0.0600");
  const Table none = OneRun({{"j_per_decode_token", Value()}});
  EXPECT_EQ(EnergyCell(DecodeJoulesPerToken(none, none.rows[0])).text, "-");
  const Table watts = OneRun({{"mean_w", Value()}, {"mean_est_w", 14.2}});
  EXPECT_EQ(EnergyCell(MeanWatts(watts, watts.rows[0])).text, "~14.2");
}

TEST(RunValues, EnergyGradeNamesWhatIsNotMeasured) {
  EXPECT_EQ(EnergyGrade("measured", "VALID").text, "VALID");
  EXPECT_EQ(EnergyGrade("estimated", "VALID").text, "estimated");
  EXPECT_EQ(EnergyGrade("modelled", "SUSPECT").text, "modelled SUSPECT");
  EXPECT_EQ(EnergyGrade(std::nullopt, std::nullopt).text, "-");
}

TEST(RunValues, ShortCellsKeepWhatDiffers) {
  EXPECT_THAT(
      ShortCells({"workload=chat,model=a", "workload=chat,model=b"}),
      UnorderedElementsAre(Pair("workload=chat,model=a", "a"), Pair("workload=chat,model=b", "b")));
  EXPECT_THAT(ShortCells({"model=a,threads=1", "model=b,threads=2"}),
              UnorderedElementsAre(Pair("model=a,threads=1", "a threads=1"),
                                   Pair("model=b,threads=2", "b threads=2")));
  EXPECT_THAT(ShortCells({"model=a"}), UnorderedElementsAre(Pair("model=a", "model=a")));
  EXPECT_THAT(ShortCells({"model=a", "free text"}),
              UnorderedElementsAre(Pair("model=a", "model=a"), Pair("free text", "free text")));
  EXPECT_THAT(ShortCells({"model=a", "threads=1"}),
              UnorderedElementsAre(Pair("model=a", "model=a"), Pair("threads=1", "threads=1")));
}

TEST(RunValues, CellWords) {
  EXPECT_EQ(CellWords("workload=chat,model=tiny-q8_0,threads=2"), "chat · tiny-q8_0 · threads=2");
  EXPECT_EQ(CellWords("free text"), "free text");
}

TEST(RunValues, JsonHelpers) {
  EXPECT_THAT(FlatJson(R"({"a":"x","n":2,"o":{},"z":null})"),
              UnorderedElementsAre(Pair("a", "x"), Pair("n", "2")));
  EXPECT_TRUE(FlatJson("[1]").empty());
  EXPECT_THAT(ListJson(R"(["a","b"])"), ElementsAre("a", "b"));
  EXPECT_THAT(ListJson("plain"), ElementsAre("plain"));
  EXPECT_TRUE(ListJson("").empty());
}

}  // namespace
}  // namespace joulefarm::cli
