// Whether a results file is sound, looked at through a connection of its own.
//
// Thread rule: any thread; blocks for as long as it reads. Ownership: none.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace joulefarm::controller {

struct DatabaseHealth {
  // SQLite's own words; empty when nothing was found.
  std::vector<std::string> problems;
  // False: the time was up before everything was read; what was read is sound.
  bool complete = true;
  int schema_version = 0;
  std::int64_t file_bytes = 0;
  std::int64_t log_bytes = 0;  // of the write-ahead log beside it
};

struct HealthOptions {
  bool thorough = false;  // integrity_check, to its end; else quick_check within the limit
  std::chrono::milliseconds limit = std::chrono::seconds(5);
};

// NOT_FOUND, UNAVAILABLE and FAILED_PRECONDITION as Reader::Open.
absl::StatusOr<DatabaseHealth> ReadHealth(const std::string& path, const HealthOptions& options);

}  // namespace joulefarm::controller
