// Opening the results file: pragmas, checks and migrations.
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "controller/store/schema.h"
#include "controller/store/sqlite_status.h"
#include "controller/store/sqlite_store.h"

namespace joulefarm::controller {
namespace {

namespace fs = std::filesystem;

// Chunks of up to 64 KiB and small rows share the file: 8 KiB pages keep overflow chains short.
constexpr int kPageBytes = 8192;
// A commit does a checkpoint itself once the log has so many pages (16 MiB): a backstop, see
// SqliteStore::Checkpoint.
constexpr int kCheckpointPages = 2048;

void Migrate(SQLite::Database& database, int from) {
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  for (const Migration& migration : Migrations()) {
    if (migration.version > from) database.exec(migration.sql);
  }
  database.exec(absl::StrCat("PRAGMA user_version = ", LatestSchemaVersion()));
  database.exec(absl::StrCat("PRAGMA application_id = ", kApplicationId));
  transaction.commit();
}

}  // namespace

absl::Status CheckPlace(const std::string& path) {
  std::error_code error;
  fs::path parent = fs::path(path).parent_path();
  if (parent.empty()) parent = ".";
  if (!fs::is_directory(parent, error)) {
    return absl::NotFoundError(absl::StrCat("cannot open database ", path, ": ", parent.string(),
                                            " is not a directory; create it or name another"));
  }
  if (fs::is_directory(path, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot open database ", path, ": it is a directory; name a file"));
  }
  // The log and its index are created beside the file, so the directory has to be writable too.
  for (const std::string& place : {parent.string(), path}) {
    if (fs::exists(place, error) && access(place.c_str(), W_OK) != 0) {
      return absl::PermissionDeniedError(
          absl::StrCat("cannot open database ", path, ": ", place,
                       " is not writable for this user; change its owner or name another"));
    }
  }
  return absl::OkStatus();
}

absl::Status PrepareDatabase(SQLite::Database& database, const std::string& path, int& version) {
  absl::Status checked = CheckDatabase(database.getHandle(), path, version);
  if (!checked.ok()) return checked;
  if (version == 0) {
    // These two are properties of the file, and only an empty one takes them.
    database.exec(absl::StrCat("PRAGMA page_size = ", kPageBytes));
    database.exec("PRAGMA auto_vacuum = INCREMENTAL");
  }
  database.execAndGet("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL");
  database.exec("PRAGMA foreign_keys = ON");
  database.exec("PRAGMA temp_store = MEMORY");
  database.execAndGet(absl::StrCat("PRAGMA wal_autocheckpoint = ", kCheckpointPages));
  if (version < LatestSchemaVersion()) Migrate(database, version);
  version = LatestSchemaVersion();
  return absl::OkStatus();
}

}  // namespace joulefarm::controller
