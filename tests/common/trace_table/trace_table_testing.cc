#include "tests/common/trace_table/trace_table_testing.h"

#include <gtest/gtest.h>

#include "common/trace/trace_codec.h"

namespace joulefarm {

TestDatabase::TestDatabase(const std::string& path) {
  EXPECT_EQ(sqlite3_open(path.c_str(), &handle_), SQLITE_OK);
  Run("CREATE TABLE channel (attempt INTEGER, source INTEGER, name TEXT, scale REAL)");
  Run("CREATE TABLE trace_chunk (id INTEGER PRIMARY KEY, attempt INTEGER, source INTEGER, channel "
      "TEXT, t0_ns INTEGER, t1_ns INTEGER, n INTEGER, lost INTEGER, gap INTEGER, data BLOB)");
  Run("CREATE INDEX trace_chunk_by_channel ON trace_chunk (attempt, source, channel, t0_ns)");
}

TestDatabase::~TestDatabase() { sqlite3_close(handle_); }

void TestDatabase::Run(const std::string& sql) {
  EXPECT_EQ(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(handle_) << " in " << sql;
}

void TestDatabase::AddChannel(std::int64_t attempt, int source, const std::string& name,
                              double scale) {
  Run("INSERT INTO channel (attempt, source, name, scale) VALUES (" + std::to_string(attempt) +
      ", " + std::to_string(source) + ", '" + name + "', " + std::to_string(scale) + ")");
}

std::int64_t TestDatabase::AddChunk(std::int64_t attempt, int source, const std::string& channel,
                                    const std::vector<std::int64_t>& t_ns,
                                    const std::vector<std::int64_t>& raw) {
  TraceEncoder encoder;
  const absl::StatusOr<std::string> data = encoder.Encode(t_ns, raw);
  EXPECT_TRUE(data.ok()) << data.status();
  sqlite3_stmt* insert = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(handle_,
                               "INSERT INTO trace_chunk (attempt, source, channel, t0_ns, t1_ns, "
                               "n, lost, gap, data) VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?)",
                               -1, &insert, nullptr),
            SQLITE_OK);
  sqlite3_bind_int64(insert, 1, attempt);
  sqlite3_bind_int(insert, 2, source);
  sqlite3_bind_text(insert, 3, channel.c_str(), -1, SQLITE_TRANSIENT);
  sqlite3_bind_int64(insert, 4, t_ns.front());
  sqlite3_bind_int64(insert, 5, t_ns.back());
  sqlite3_bind_int64(insert, 6, static_cast<std::int64_t>(t_ns.size()));
  sqlite3_bind_blob(insert, 7, data->data(), static_cast<int>(data->size()), SQLITE_TRANSIENT);
  EXPECT_EQ(sqlite3_step(insert), SQLITE_DONE);
  sqlite3_finalize(insert);
  return sqlite3_last_insert_rowid(handle_);
}

std::string TestDatabase::Query(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr);
  std::string out;
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(statement);
    if (code != SQLITE_ROW) break;
    if (!out.empty()) out += ';';
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
      out += (i == 0 ? "" : "|") + std::string(text == nullptr ? "NULL" : text);
    }
  }
  if (code != SQLITE_DONE) out = std::string("error: ") + sqlite3_errmsg(handle_);
  sqlite3_finalize(statement);
  return out;
}

}  // namespace joulefarm
