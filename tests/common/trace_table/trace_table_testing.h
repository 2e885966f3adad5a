// A results file with only what trace() reads, made by hand.
//
// Thread rule: one thread. Ownership: a TestDatabase closes its connection.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <vector>

namespace joulefarm {

class TestDatabase {
 public:
  // ":memory:" or a file.
  explicit TestDatabase(const std::string& path);
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  sqlite3* handle() { return handle_; }
  void Run(const std::string& sql);
  void AddChannel(std::int64_t attempt, int source, const std::string& name, double scale);
  // A chunk of samples; returns its id.
  std::int64_t AddChunk(std::int64_t attempt, int source, const std::string& channel,
                        const std::vector<std::int64_t>& t_ns,
                        const std::vector<std::int64_t>& raw);
  // Rows joined by ";", columns by "|", NULL as "NULL"; "error: …" when the query fails.
  std::string Query(const std::string& sql);

 private:
  sqlite3* handle_ = nullptr;
};

}  // namespace joulefarm
