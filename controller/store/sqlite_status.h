// SQLite's result codes as absl::Status.
//
// Threads: pure functions. Ownership: none.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

struct sqlite3;

namespace joulefarm::controller {

// What a failed write means to the caller: RESOURCE_EXHAUSTED (disk or size limit full),
// UNAVAILABLE (locked, I/O error, read-only: may work later), INTERNAL (anything else). `code` may
// be an extended result code.
absl::Status SqliteStatus(int code, absl::string_view doing, absl::string_view message);

// Checks that `handle` is an opened Joulefarm database that this program can read: sets `version`
// (0: a new, empty file). FAILED_PRECONDITION: no database, another program's, or of a newer
// version. Others as SqliteStatus.
absl::Status CheckDatabase(sqlite3* handle, absl::string_view path, int& version);

}  // namespace joulefarm::controller
