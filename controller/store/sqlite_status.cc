#include "controller/store/sqlite_status.h"

#include <sqlite3.h>

#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "controller/store/schema.h"

namespace joulefarm::controller {
namespace {

// First column of the first row; absent on any error, which stays in sqlite3_errcode.
std::optional<std::int64_t> ReadNumber(sqlite3* handle, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  std::optional<std::int64_t> number;
  if (sqlite3_prepare_v2(handle, sql, -1, &statement, nullptr) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW) {
    number = sqlite3_column_int64(statement, 0);
  }
  sqlite3_finalize(statement);
  return number;
}

}  // namespace

absl::Status SqliteStatus(int code, absl::string_view doing, absl::string_view message) {
  const std::string text = absl::StrCat(doing, ": ", message);
  switch (code & 0xFF) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(absl::StrCat(
          text, ": make room on the disk that holds the database; nothing of this was written"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(
          absl::StrCat(text, ": another process holds the database; stop it or try again"));
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      return absl::InvalidArgumentError(absl::StrCat(text, " (SQLite code ", code, ")"));
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError(absl::StrCat(text, " (SQLite code ", code, ")"));
  }
}

absl::Status CheckDatabase(sqlite3* handle, absl::string_view path, int& version) {
  const std::optional<std::int64_t> found = ReadNumber(handle, "PRAGMA user_version");
  const std::optional<std::int64_t> objects =
      found ? ReadNumber(handle, "SELECT count(*) FROM sqlite_schema") : std::nullopt;
  const std::optional<std::int64_t> application =
      objects ? ReadNumber(handle, "PRAGMA application_id") : std::nullopt;
  if (!application) {
    const int code = sqlite3_extended_errcode(handle);
    if ((code & 0xFF) == SQLITE_NOTADB || (code & 0xFF) == SQLITE_CORRUPT) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is not a readable SQLite database (", sqlite3_errmsg(handle),
                       "): move it away or name another file"));
    }
    return SqliteStatus(code, absl::StrCat("cannot read ", path), sqlite3_errmsg(handle));
  }
  if (*application != kApplicationId && (*objects > 0 || *application != 0)) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is a database of another program, not Joulefarm's: name another file"));
  }
  version = static_cast<int>(*found);
  if (version > LatestSchemaVersion()) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " has schema version ", version, ", this program knows versions up to ",
        LatestSchemaVersion(), ": use the newer Joulefarm that wrote it, or another file"));
  }
  return absl::OkStatus();
}

}  // namespace joulefarm::controller
