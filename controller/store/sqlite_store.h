// The store port on one SQLite file.
//
// Thread rule: one instance, one thread. Ownership: owns the only write connection. See
// docs/schema.md for the tables.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/store/session.h"
#include "controller/store/store.h"

namespace joulefarm::controller {

struct SqliteStoreOptions {
  // How long to wait for another process that holds the file.
  int busy_timeout_ms = 2000;
  // Wall clock, ns since the epoch, for rows the store itself stamps (late frames, flagged frames).
  // Default: the system's.
  std::function<std::int64_t()> wall_now_ns;
  // The file never grows past this; absent: as far as the disk goes.
  std::optional<std::int64_t> max_bytes;
};

class SqliteStore : public Store {
 public:
  // Opens or creates the file, and brings its schema up to date. ":memory:" for a database that
  // ends with the store. FAILED_PRECONDITION: no database, another program's, or of a newer
  // version. NOT_FOUND: no such directory. PERMISSION_DENIED: not writable. UNAVAILABLE: locked by
  // another process, I/O error. RESOURCE_EXHAUSTED: disk full.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path,
                                                           SqliteStoreOptions options = {});
  // Moves the whole log into the file where no reader is in the way, so that the file alone is
  // complete.
  ~SqliteStore() override;
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  absl::Status Commit(const std::vector<Write>& writes) override;
  absl::StatusOr<IngestOutcome> Ingest(const std::vector<v1::Frame>& frames) override;
  absl::StatusOr<std::vector<v1::StreamCursor>> Cursors(Fence fence) override;
  absl::StatusOr<FarmSnapshot> Load() override;
  absl::StatusOr<std::vector<Fence>> Unfinalised() override;
  absl::StatusOr<AttemptData> ReadAttempt(Fence fence) override;
  absl::StatusOr<Artifact> FindArtifact(const std::string& name) override;
  absl::StatusOr<ArtifactUse> ReadArtifactUse() override;
  absl::Status ForgetArtifacts(const std::vector<std::string>& sha256s,
                               std::int64_t wall_ns) override;

  // Moves what the write-ahead log holds into the file, without waiting for readers. Call it when
  // there is nothing else to write; commits do it themselves only once the log has reached 16 MiB.
  // Errors as Commit.
  absl::Status Checkpoint() override;

  // Changes the size limit; absent lifts it. A limit below the file's size only stops growth.
  absl::Status SetMaxBytes(std::optional<std::int64_t> max_bytes);

  // PRAGMA user_version of the open file.
  int schema_version() const { return schema_version_; }

 private:
  SqliteStore(std::string path, SQLite::Database database, SqliteStoreOptions options);

  std::string path_;
  SqliteStoreOptions options_;
  int schema_version_ = 0;
  SQLite::Database database_;
  Session session_;  // after database_: its statements go first
};

// open.cc: pragmas and migrations of a freshly opened connection; sets `version`. Errors as Open;
// throws SQLite::Exception.
absl::Status PrepareDatabase(SQLite::Database& database, const std::string& path, int& version);

// open.cc: what is wrong with the place before SQLite is asked; its own words are "unable to open
// database file".
absl::Status CheckPlace(const std::string& path);

}  // namespace joulefarm::controller
