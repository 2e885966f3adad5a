// Whether a file is a sound results database.
#include <sqlite3.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "controller/store/reader.h"
#include "controller/store/schema.h"
#include "controller/store/sqlite_status.h"

namespace joulefarm::controller {

absl::Status CheckDatabaseFile(const std::string& path) {
  sqlite3* raw = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> connection(raw, &sqlite3_close_v2);
  if (opened != SQLITE_OK)
    return SqliteStatus(opened, absl::StrCat("cannot open ", path), sqlite3_errstr(opened));
  int version = 0;
  absl::Status checked = CheckDatabase(raw, path, version);
  if (!checked.ok()) return checked;
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(raw, "PRAGMA quick_check(1)", -1, &statement, nullptr);
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  std::string found;
  if (code == SQLITE_ROW) found = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
  sqlite3_finalize(statement);
  if (found == "ok") return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(path, ": ", found.empty() ? sqlite3_errstr(code) : found));
}

}  // namespace joulefarm::controller
