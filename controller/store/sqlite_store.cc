#include "controller/store/sqlite_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/time/wall_now.h"
#include "controller/store/artifact_rows.h"
#include "controller/store/guarded.h"
#include "controller/store/ingest.h"
#include "controller/store/load.h"
#include "controller/store/rows.h"

namespace joulefarm::controller {
namespace {

// SQLiteCpp's own name for a database in memory.
constexpr char kMemory[] = ":memory:";

}  // namespace

SqliteStore::SqliteStore(std::string path, SQLite::Database database, SqliteStoreOptions options)
    : path_(std::move(path)),
      options_(std::move(options)),
      database_(std::move(database)),
      session_(database_) {
  if (!options_.wall_now_ns) options_.wall_now_ns = WallNowNs;
}

SqliteStore::~SqliteStore() {
  // Best effort: what stays in the log is read from there.
  sqlite3_wal_checkpoint_v2(database_.getHandle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr,
                            nullptr);
}

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                               SqliteStoreOptions options) {
  if (path != kMemory) {
    if (absl::Status place = CheckPlace(path); !place.ok()) return place;
  }
  return Guarded(absl::StrCat("cannot open database ", path),
                 [&]() -> absl::StatusOr<std::unique_ptr<SqliteStore>> {
                   SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                                             options.busy_timeout_ms);
                   int version = 0;
                   absl::Status prepared = PrepareDatabase(database, path, version);
                   if (!prepared.ok()) return prepared;
                   auto store = std::unique_ptr<SqliteStore>(
                       new SqliteStore(path, std::move(database), std::move(options)));
                   store->schema_version_ = version;
                   absl::Status limited = store->SetMaxBytes(store->options_.max_bytes);
                   if (!limited.ok()) return limited;
                   return store;
                 });
}

absl::Status SqliteStore::Commit(const std::vector<Write>& writes) {
  return Guarded(absl::StrCat("cannot write to ", path_), [&] {
    WriteTransaction transaction(session_);
    for (const Write& write : writes) {
      std::visit([this](const auto& row) { WriteRow(session_, row); }, write);
    }
    transaction.Commit();
    return absl::OkStatus();
  });
}

absl::StatusOr<IngestOutcome> SqliteStore::Ingest(const std::vector<v1::Frame>& frames) {
  return Guarded(absl::StrCat("cannot write to ", path_), [&]() -> absl::StatusOr<IngestOutcome> {
    WriteTransaction transaction(session_);
    controller::Ingest ingest(session_, options_.wall_now_ns());
    for (const v1::Frame& frame : frames) ingest.Take(frame);
    IngestOutcome outcome = ingest.Finish();
    transaction.Commit();
    return outcome;
  });
}

absl::StatusOr<std::vector<v1::StreamCursor>> SqliteStore::Cursors(Fence fence) {
  return Guarded(absl::StrCat("cannot read ", path_),
                 [&]() -> absl::StatusOr<std::vector<v1::StreamCursor>> {
                   return ReadCursors(session_, fence);
                 });
}

absl::StatusOr<FarmSnapshot> SqliteStore::Load() {
  return Guarded(absl::StrCat("cannot read ", path_),
                 [&]() -> absl::StatusOr<FarmSnapshot> { return LoadFarm(session_); });
}

absl::StatusOr<std::vector<Fence>> SqliteStore::Unfinalised() {
  return Guarded(absl::StrCat("cannot read ", path_),
                 [&]() -> absl::StatusOr<std::vector<Fence>> { return ReadUnfinalised(session_); });
}

absl::StatusOr<AttemptData> SqliteStore::ReadAttempt(Fence fence) {
  return Guarded(absl::StrCat("cannot read ", path_), [&]() -> absl::StatusOr<AttemptData> {
    std::optional<AttemptData> data = ReadAttemptData(session_, fence);
    if (!data) {
      return absl::NotFoundError(absl::StrCat("attempt ", fence, " has no final in the database"));
    }
    return std::move(*data);
  });
}

absl::StatusOr<Artifact> SqliteStore::FindArtifact(const std::string& name) {
  return Guarded(absl::StrCat("cannot read ", path_), [&]() -> absl::StatusOr<Artifact> {
    std::optional<Artifact> artifact = ReadArtifact(session_, name);
    if (!artifact) {
      return absl::NotFoundError(
          absl::StrCat("no artifact is called ", name, ": push it with `joulefarm artifact push`"));
    }
    return std::move(*artifact);
  });
}

absl::StatusOr<ArtifactUse> SqliteStore::ReadArtifactUse() {
  return Guarded(absl::StrCat("cannot read ", path_), [&]() -> absl::StatusOr<ArtifactUse> {
    return controller::ReadArtifactUse(session_);
  });
}

absl::Status SqliteStore::ForgetArtifacts(const std::vector<std::string>& sha256s,
                                          std::int64_t wall_ns) {
  return Guarded(absl::StrCat("cannot write to ", path_), [&] {
    WriteTransaction transaction(session_);
    for (const std::string& sha256 : sha256s) RemoveArtifact(session_, sha256, wall_ns);
    transaction.Commit();
    return absl::OkStatus();
  });
}

absl::Status SqliteStore::Checkpoint() {
  return Guarded(absl::StrCat("cannot checkpoint ", path_), [&] {
    // One row: busy, pages in the log, pages moved.
    session_.Query("PRAGMA wal_checkpoint(PASSIVE)").Next();
    return absl::OkStatus();
  });
}

absl::Status SqliteStore::SetMaxBytes(std::optional<std::int64_t> max_bytes) {
  return Guarded(absl::StrCat("cannot limit ", path_), [&] {
    constexpr std::int64_t kMostPages = 0xFFFFFFFE;
    const std::int64_t page = database_.execAndGet("PRAGMA page_size").getInt64();
    const std::int64_t pages =
        max_bytes ? std::max<std::int64_t>(1, *max_bytes / page) : kMostPages;
    database_.execAndGet(absl::StrCat("PRAGMA max_page_count = ", pages));
    return absl::OkStatus();
  });
}

}  // namespace joulefarm::controller
