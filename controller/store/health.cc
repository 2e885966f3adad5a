#include "controller/store/health.h"

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "controller/store/sqlite_handles.h"
#include "controller/store/sqlite_status.h"

namespace joulefarm::controller {
namespace {

constexpr int kBusyMs = 2000;
constexpr int kInstructionsBetweenLooks = 10'000;
using Clock = std::chrono::steady_clock;

std::int64_t SizeOf(const std::string& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

int TimeIsUp(void* deadline) { return Clock::now() > *static_cast<Clock::time_point*>(deadline); }

}  // namespace

absl::StatusOr<DatabaseHealth> ReadHealth(const std::string& path, const HealthOptions& options) {
  DatabaseHealth health;
  health.file_bytes = SizeOf(path);
  health.log_bytes = SizeOf(path + "-wal");
  sqlite3* raw = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  const ConnectionPtr connection(raw);
  if (opened != SQLITE_OK)
    return SqliteStatus(opened, absl::StrCat("cannot open ", path), sqlite3_errstr(opened));
  sqlite3_busy_timeout(raw, kBusyMs);
  if (const absl::Status checked = CheckDatabase(raw, path, health.schema_version); !checked.ok())
    return checked;
  Clock::time_point deadline = Clock::now() + options.limit;
  if (!options.thorough)
    sqlite3_progress_handler(raw, kInstructionsBetweenLooks, TimeIsUp, &deadline);
  sqlite3_stmt* prepared = nullptr;
  const char* sql = options.thorough ? "PRAGMA integrity_check(20)" : "PRAGMA quick_check(20)";
  int code = sqlite3_prepare_v2(raw, sql, -1, &prepared, nullptr);
  const StatementPtr statement(prepared);
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(prepared);
    if (code != SQLITE_ROW) break;
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(prepared, 0));
    const std::string said = text == nullptr ? "" : text;
    if (said != "ok") health.problems.push_back(said);
  }
  switch (code & 0xFF) {
    case SQLITE_DONE:
      break;
    case SQLITE_INTERRUPT:
      health.complete = false;
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      health.problems.emplace_back(sqlite3_errmsg(raw));
      break;
    default:
      return SqliteStatus(code, absl::StrCat("cannot check ", path), sqlite3_errmsg(raw));
  }
  return health;
}

}  // namespace joulefarm::controller
