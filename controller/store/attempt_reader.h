// Finished attempts with everything recorded of them, on a connection that only reads.
//
// Threads: one per object. Ownership: owns its connection. Does not disturb the writer: it sees the
// state of one moment per call.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/core/results.h"
#include "controller/store/session.h"
#include "controller/store/store.h"

namespace joulefarm::controller {

// A row of table energy.
struct StoredEnergy {
  EnergyResult row;     // without its reasons
  std::string reasons;  // as stored: JSON
};

struct StoredAttempt {
  AttemptData data;
  std::vector<StoredEnergy> energies;
};

class AttemptReader {
 public:
  // `path` is a results database of this program's schema. Errors as Reader::Open.
  static absl::StatusOr<std::unique_ptr<AttemptReader>> Open(const std::string& path);

  // The attempts that are meant by a job's id, or by an experiment's id or name (the newest so
  // named): `attempt`, or the accepted one of each job. NOT_FOUND: nothing so named, or no such
  // attempt with results.
  absl::StatusOr<std::vector<Fence>> Find(const std::string& subject, std::optional<Fence> attempt);

  // NOT_FOUND: no such attempt, or it never ended.
  absl::StatusOr<StoredAttempt> Read(Fence fence);

 private:
  AttemptReader(std::string path, SQLite::Database database);

  std::string path_;
  SQLite::Database database_;
  Session session_;
};

}  // namespace joulefarm::controller
