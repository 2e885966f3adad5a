// A results database file, opened read-only and queried without a controller.
//
// Thread rule: one thread. Ownership: owns its connection.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/table/table.h"

namespace joulefarm::cli {

class LocalDatabase {
 public:
  // NOT_FOUND when the file is not there, FAILED_PRECONDITION when it is no results database of a
  // version this program knows.
  static absl::StatusOr<std::unique_ptr<LocalDatabase>> Open(const std::string& path);
  ~LocalDatabase();
  LocalDatabase(const LocalDatabase&) = delete;
  LocalDatabase& operator=(const LocalDatabase&) = delete;

  // One statement. INVALID_ARGUMENT for errors in it and for anything that writes.
  absl::Status Run(const std::string& statement, TableSink& sink);

 private:
  struct Reader;
  explicit LocalDatabase(std::unique_ptr<Reader> reader);
  std::unique_ptr<Reader> reader_;
};

}  // namespace joulefarm::cli
