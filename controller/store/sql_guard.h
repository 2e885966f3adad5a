// What keeps an operator's query from writing and from running for ever.
//
// Thread rule: one connection, one thread. Ownership: a QueryBudget must outlive its being
// installed, which ends with its scope.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

struct sqlite3;

namespace joulefarm::controller {

// From now on the connection prepares SELECTs only, with harmless functions and schema pragmas.
void AllowOnlyReading(sqlite3* handle);

// Interrupts the connection's statements when time or instructions are used up.
class QueryBudget {
 public:
  QueryBudget(sqlite3* handle, std::chrono::milliseconds time,
              std::optional<std::int64_t> instructions);
  ~QueryBudget();
  QueryBudget(const QueryBudget&) = delete;
  QueryBudget& operator=(const QueryBudget&) = delete;

  bool used_up() const { return used_up_; }
  // Time that the query is not to blame for.
  void Forgive(std::chrono::steady_clock::duration time) { deadline_ += time; }

 private:
  static int OnProgress(void* self);

  sqlite3* handle_;
  std::chrono::steady_clock::time_point deadline_;
  std::optional<std::int64_t> ticks_left_;
  bool used_up_ = false;
};

}  // namespace joulefarm::controller
