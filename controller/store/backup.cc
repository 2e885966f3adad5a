#include "controller/store/backup.h"

#include <sqlite3.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <memory>

#include "absl/strings/str_cat.h"
#include "controller/store/sqlite_handles.h"
#include "controller/store/sqlite_status.h"

namespace joulefarm::controller {
namespace {

// Between two looks at whether somebody still wants the copy; 8 MiB of pages of 8 KiB.
constexpr int kPagesPerStep = 1024;
constexpr int kBusyTimeoutMs = 2000;

absl::Status Failed(sqlite3* handle, const std::string& doing) {
  return SqliteStatus(sqlite3_extended_errcode(handle), doing, sqlite3_errmsg(handle));
}

absl::Status Open(const std::string& path, int flags, ConnectionPtr& connection) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  connection.reset(raw);
  if (code != SQLITE_OK)
    return SqliteStatus(code, absl::StrCat("cannot open ", path), sqlite3_errstr(code));
  sqlite3_busy_timeout(raw, kBusyTimeoutMs);
  return absl::OkStatus();
}

absl::Status Execute(sqlite3* handle, const char* sql, const std::string& doing) {
  return sqlite3_exec(handle, sql, nullptr, nullptr, nullptr) == SQLITE_OK ? absl::OkStatus()
                                                                           : Failed(handle, doing);
}

// The first column of the first row; empty when there is none.
absl::Status ReadText(sqlite3* handle, const char* sql, const std::string& doing,
                      std::string& text) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(handle, sql, -1, &statement, nullptr);
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    const auto* value = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    text = value == nullptr ? "" : value;
  }
  const absl::Status status =
      code == SQLITE_ROW || code == SQLITE_DONE ? absl::OkStatus() : Failed(handle, doing);
  sqlite3_finalize(statement);
  return status;
}

// Before anything is written, so that a copy that cannot end well does not fill the disk the farm
// writes to.
absl::Status CheckRoom(sqlite3* source, const std::string& to) {
  std::string bytes;
  const absl::Status read =
      ReadText(source, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
               "cannot read the database's size", bytes);
  if (!read.ok()) return read;
  struct statvfs disk {};
  if (statvfs(to.substr(0, to.rfind('/') + 1).c_str(), &disk) != 0) return absl::OkStatus();
  const std::int64_t needed = std::stoll(bytes);
  const auto room =
      static_cast<std::int64_t>(disk.f_bavail) * static_cast<std::int64_t>(disk.f_frsize);
  // As much again stays free for what the farm writes meanwhile.
  constexpr std::int64_t kSpare = std::int64_t{64} << 20;
  if (room >= needed + kSpare) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the copy needs ", (needed >> 20) + 1,
                   " MiB for a while on the disk of the controller's state and ", room >> 20,
                   " MiB are free: make room there, or stop the controller and copy the file"));
}

absl::Status CopyPages(sqlite3* source, sqlite3* target, const std::function<bool()>& canceled) {
  sqlite3_backup* backup = sqlite3_backup_init(target, "main", source, "main");
  if (backup == nullptr) return Failed(target, "cannot begin the copy");
  int code = SQLITE_OK;
  bool stopped = false;
  while (code == SQLITE_OK && !stopped) {
    code = sqlite3_backup_step(backup, kPagesPerStep);
    stopped = canceled();
  }
  sqlite3_backup_finish(backup);
  if (stopped && code == SQLITE_OK) return absl::CancelledError("nobody wants the copy any more");
  if (code == SQLITE_DONE) return absl::OkStatus();
  return SqliteStatus(code, "cannot copy the database", sqlite3_errstr(code));
}

absl::Status Copy(const std::string& from, const std::string& to,
                  const std::function<bool()>& canceled) {
  ConnectionPtr source;
  absl::Status status = Open(from, SQLITE_OPEN_READONLY, source);
  if (!status.ok()) return status;
  // A read transaction of our own holds the moment still: without one the copy would begin again
  // whenever somebody wrote.
  std::string ignored;
  status = Execute(source.get(), "BEGIN", "cannot read the database");
  if (status.ok())
    status = ReadText(source.get(), "SELECT count(*) FROM sqlite_schema",
                      "cannot read the database", ignored);
  if (status.ok()) status = CheckRoom(source.get(), to);
  if (!status.ok()) return status;
  ConnectionPtr target;
  status = Open(to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, target);
  // It is synced once, at its destination.
  if (status.ok())
    status = Execute(target.get(), "PRAGMA synchronous = OFF", "cannot write the copy");
  if (status.ok()) status = CopyPages(source.get(), target.get(), canceled);
  // One file, readable where nothing can be written beside it.
  if (status.ok())
    status =
        ReadText(target.get(), "PRAGMA journal_mode = DELETE", "cannot finish the copy", ignored);
  return status;
}

}  // namespace

absl::Status CopyDatabase(const std::string& from, const std::string& to,
                          const std::function<bool()>& canceled) {
  const absl::Status status = Copy(from, to, canceled);
  if (!status.ok()) {
    for (const char* suffix : {"", "-journal", "-wal", "-shm"})
      unlink(absl::StrCat(to, suffix).c_str());
  }
  return status;
}

}  // namespace joulefarm::controller
