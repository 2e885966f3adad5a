// The table function trace() as it is built into the programs.
#include "common/trace_table/trace_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/trace_table/trace_table_testing.h"

namespace joulefarm {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class TraceTableTest : public testing::Test {
 protected:
  TraceTableTest() : database_(":memory:") {
    EXPECT_EQ(RegisterTraceTable(database_.handle()), SQLITE_OK);
    database_.AddChannel(7, 0, "power", 0.5);
    database_.AddChannel(7, 0, "other", 2);
    database_.AddChannel(8, 0, "power", 1);
    first_ = database_.AddChunk(7, 0, "power", {100, 200, 300}, {1, 2, -3});
    second_ = database_.AddChunk(7, 0, "power", {400, 500}, {4, 5});
    database_.AddChunk(7, 0, "other", {150}, {9});
    database_.AddChunk(8, 0, "power", {1, 2}, {10, 20});
  }
  std::string Query(const std::string& sql) { return database_.Query(sql); }

  TestDatabase database_;
  std::int64_t first_ = 0;
  std::int64_t second_ = 0;
};

TEST_F(TraceTableTest, DecodesScalesAndKeepsTheOrder) {
  EXPECT_EQ(Query("SELECT t_ns, value FROM trace(7, 'power')"),
            "100|0.5;200|1.0;300|-1.5;400|2.0;500|2.5");
  EXPECT_EQ(Query("SELECT * FROM trace(7, 'other')"), "150|18.0");
  EXPECT_EQ(Query("SELECT t_ns, value, attempt, channel, source FROM trace(8, 'power') LIMIT 1"),
            "1|10.0|8|power|0");
  EXPECT_EQ(Query("SELECT typeof(t_ns), typeof(value) FROM trace(7, 'other')"), "integer|real");
}

TEST_F(TraceTableTest, StampsOfOtherClocksAreBroughtToTheDevices) {
  database_.Run("ALTER TABLE channel ADD COLUMN clock TEXT");
  database_.Run(
      "CREATE TABLE chunk_time (chunk INTEGER PRIMARY KEY, t0_ns INTEGER, t1_ns INTEGER)");
  database_.AddChannel(9, 1, "meter", 1);
  const std::int64_t known = database_.AddChunk(9, 1, "meter", {100, 200, 300}, {1, 2, 3});
  database_.AddChunk(9, 1, "meter", {400, 500}, {4, 5});
  EXPECT_EQ(Query("SELECT t_ns, value FROM trace(9, 'meter')"), "");
  database_.Run("INSERT INTO chunk_time VALUES (" + std::to_string(known) + ", 5000, 5204)");
  EXPECT_EQ(Query("SELECT t_ns, value FROM trace(9, 'meter')"), "5000|1.0;5102|2.0;5204|3.0");
  EXPECT_EQ(Query("SELECT t_ns FROM trace(9, 'meter') WHERE t_ns > 5000 AND t_ns < 5204"), "5102");
  EXPECT_EQ(Query("SELECT t_ns FROM trace(9, 'meter') WHERE t_ns < 400"), "");
  // A meter of the device's own host that has a clock.
  database_.Run("UPDATE channel SET source = 0, clock = 'ticks' WHERE attempt = 9");
  database_.Run("UPDATE trace_chunk SET source = 0 WHERE attempt = 9");
  EXPECT_EQ(Query("SELECT min(t_ns), max(t_ns) FROM trace(9, 'meter')"), "5000|5204");
  EXPECT_EQ(Query("SELECT min(t_ns) FROM trace(7, 'power')"), "100");
}

TEST_F(TraceTableTest, ArgumentsMayComeFromOtherTablesOrConditions) {
  EXPECT_EQ(Query("SELECT c.attempt, count(*), sum(t.value) FROM channel AS c JOIN "
                  "trace(c.attempt, c.name) AS t GROUP BY c.attempt, c.name ORDER BY 1, 2"),
            "7|1|18.0;7|5|4.5;8|2|30.0");
  EXPECT_EQ(Query("SELECT count(*) FROM trace WHERE attempt = 7 AND channel = 'power'"), "5");
  // The planner has to turn these two around.
  EXPECT_EQ(Query("SELECT sum(t.value) FROM trace(c.attempt, 'power') AS t, channel AS c WHERE "
                  "c.name = 'other'"),
            "4.5");
  EXPECT_EQ(Query("SELECT count(*) FROM trace(7, 'power') WHERE attempt = 8"), "0");
}

TEST_F(TraceTableTest, ConditionsOnTimeAreExact) {
  const std::string from = "SELECT group_concat(t_ns) FROM trace(7, 'power') WHERE ";
  EXPECT_EQ(Query(from + "t_ns >= 200 AND t_ns < 500"), "200,300,400");
  EXPECT_EQ(Query(from + "t_ns > 200 AND t_ns <= 400"), "300,400");
  EXPECT_EQ(Query(from + "t_ns = 300"), "300");
  EXPECT_EQ(Query(from + "t_ns BETWEEN 250.5 AND 400.5"), "300,400");
  EXPECT_EQ(Query(from + "t_ns > 299.5"), "300,400,500");
  EXPECT_EQ(Query(from + "t_ns < 1e300"), "100,200,300,400,500");
  EXPECT_EQ(Query(from + "t_ns > 'text'"), "NULL");
  EXPECT_EQ(Query(from + "t_ns < 'text'"), "100,200,300,400,500");
  EXPECT_EQ(Query(from + "t_ns > NULL"), "NULL");
}

TEST_F(TraceTableTest, ChunksOutsideTheAskedTimeAreNotDecoded) {
  database_.Run("UPDATE trace_chunk SET data = x'00' WHERE id = " + std::to_string(first_));
  EXPECT_EQ(Query("SELECT count(*) FROM trace(7, 'power') WHERE t_ns >= 400"), "2");
  EXPECT_THAT(Query("SELECT count(*) FROM trace(7, 'power')"), StartsWith("error: trace_chunk 1"));
}

TEST_F(TraceTableTest, WhatIsNotThereHasNoRows) {
  EXPECT_EQ(Query("SELECT * FROM trace(9, 'power')"), "");
  EXPECT_EQ(Query("SELECT * FROM trace(7, 'none')"), "");
  EXPECT_EQ(Query("SELECT * FROM trace(NULL, 'power')"), "");
  EXPECT_EQ(Query("SELECT * FROM trace(7, NULL)"), "");
  EXPECT_EQ(Query("SELECT * FROM trace('seven', 'power')"), "");
}

TEST_F(TraceTableTest, MissingArgumentsAreExplained) {
  for (const char* sql : {"SELECT * FROM trace", "SELECT * FROM trace(7)",
                          "SELECT * FROM trace WHERE channel = 'power'"}) {
    EXPECT_THAT(Query(sql), HasSubstr("trace needs an attempt and a channel")) << sql;
  }
}

TEST_F(TraceTableTest, GapsAndCountedLossesHaveNoSamples) {
  database_.Run(
      "INSERT INTO trace_chunk (attempt, source, channel, t0_ns, t1_ns, n, lost, gap, data) VALUES "
      "(7, 0, 'power', 320, 380, 50, 0, 1, x''), (7, 0, 'power', 500, 500, 0, 3, 0, x'')");
  EXPECT_EQ(Query("SELECT group_concat(t_ns) FROM trace(7, 'power')"), "100,200,300,400,500");
}

TEST_F(TraceTableTest, CutDataAndRowsThatDisagreeWithItAreDamaged) {
  const std::string hex =
      Query("SELECT hex(data) FROM trace_chunk WHERE id = " + std::to_string(first_));
  ASSERT_GT(hex.size(), 8u);
  for (std::size_t cut = 0; cut < hex.size(); cut += 2) {
    database_.Run("UPDATE trace_chunk SET data = x'" + hex.substr(0, cut) +
                  "' WHERE id = " + std::to_string(first_));
    EXPECT_THAT(Query("SELECT count(*) FROM trace(7, 'power')"), HasSubstr("is damaged")) << cut;
  }
  for (const char* lie : {"n = 4", "t0_ns = 99", "t1_ns = 301"}) {
    database_.Run("UPDATE trace_chunk SET data = x'" + hex + "', n = 3, t0_ns = 100, t1_ns = 300 " +
                  "WHERE id = " + std::to_string(first_));
    ASSERT_EQ(Query("SELECT count(*) FROM trace(7, 'power')"), "5");
    database_.Run("UPDATE trace_chunk SET " + std::string(lie) +
                  " WHERE id = " + std::to_string(first_));
    EXPECT_THAT(Query("SELECT count(*) FROM trace(7, 'power')"), HasSubstr("does not agree"))
        << lie;
  }
}

TEST_F(TraceTableTest, SeveralSourcesAreNeverMixed) {
  database_.AddChannel(7, 1, "power", 10);
  database_.AddChunk(7, 1, "power", {1, 2}, {1, 2});
  EXPECT_THAT(Query("SELECT * FROM trace(7, 'power')"),
              HasSubstr("sources 0 and 1 of attempt 7 both have a channel 'power'; say which: "
                        "trace(7, 'power', SOURCE)"));
  EXPECT_EQ(Query("SELECT sum(value) FROM trace(7, 'power', 0)"), "4.5");
  EXPECT_EQ(Query("SELECT sum(value) FROM trace(7, 'power', 1)"), "30.0");
  EXPECT_EQ(Query("SELECT sum(value) FROM trace(7, 'power', 2)"),
            "error: trace: attempt 7 has samples of 'power', but table channel does not describe "
            "it (for this source), so that their scale is unknown");
  EXPECT_EQ(Query("SELECT sum(value) FROM trace(7, 'other', NULL)"), "18.0");
}

TEST_F(TraceTableTest, AScaleThatSaysNothingIsAnError) {
  database_.Run("UPDATE channel SET scale = 0 WHERE name = 'other'");
  EXPECT_THAT(Query("SELECT * FROM trace(7, 'other')"), HasSubstr("has the scale 0"));
  database_.Run("DELETE FROM channel WHERE name = 'other'");
  EXPECT_THAT(Query("SELECT * FROM trace(7, 'other')"), HasSubstr("scale is unknown"));
}

TEST_F(TraceTableTest, CannotBeWritten) {
  EXPECT_THAT(Query("INSERT INTO trace (t_ns, value) VALUES (1, 2)"), StartsWith("error: "));
  EXPECT_THAT(Query("DELETE FROM trace"), StartsWith("error: "));
}

TEST(TraceTable, SaysWhenTheDatabaseIsAnother) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(":memory:", &handle), SQLITE_OK);
  ASSERT_EQ(RegisterTraceTable(handle), SQLITE_OK);
  char* error = nullptr;
  EXPECT_EQ(sqlite3_exec(handle, "SELECT * FROM trace(1, 'x')", nullptr, nullptr, &error),
            SQLITE_ERROR);
  EXPECT_THAT(error, HasSubstr("no such table: channel; is this a Joulefarm results database?"));
  sqlite3_free(error);
  sqlite3_close(handle);
}

TEST(TraceTable, StreamsMillionsWithoutKeepingThem) {
  TestDatabase database(":memory:");
  ASSERT_EQ(RegisterTraceTable(database.handle()), SQLITE_OK);
  database.AddChannel(1, 0, "fast", 0.001);
  constexpr int kChunks = 1000;
  constexpr int kEach = 2000;
  database.Run("BEGIN");
  std::vector<std::int64_t> t_ns(kEach);
  std::vector<std::int64_t> raw(kEach);
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    for (int i = 0; i < kEach; ++i) {
      const int at = chunk * kEach + i;
      t_ns[static_cast<std::size_t>(i)] = std::int64_t{at} * 200'000;
      raw[static_cast<std::size_t>(i)] = at % 1000;
    }
    database.AddChunk(1, 0, "fast", t_ns, raw);
  }
  database.Run("COMMIT");
  sqlite3_memory_highwater(1);
  EXPECT_EQ(database.Query("SELECT count(*), printf('%.4f', avg(value)), max(t_ns) FROM "
                           "trace(1, 'fast')"),
            "2000000|0.4995|399999800000");
  // The file itself is the memory here: reading adds next to nothing.
  EXPECT_LT(sqlite3_memory_highwater(0) - sqlite3_memory_used(), 1 << 20);
  EXPECT_EQ(database.Query("SELECT count(*) FROM trace(1, 'fast') WHERE t_ns BETWEEN 399999000000 "
                           "AND 400000000000"),
            "5");
}

}  // namespace
}  // namespace joulefarm
