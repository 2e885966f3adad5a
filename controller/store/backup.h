// Copies of the results database, and whether a file is a sound one.
//
// Threads: any; calls block. Ownership: none; each call has connections of its own.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace joulefarm::controller {

// Copies the database as it is at one moment into a new file `to`, complete in itself (no log
// beside it), while others go on writing. CANCELLED when `canceled` says so between two parts;
// RESOURCE_EXHAUSTED when the disk cannot hold the copy. On an error `to` is removed.
absl::Status CopyDatabase(const std::string& from, const std::string& to,
                          const std::function<bool()>& canceled);

// OK when the file is a results database that SQLite finds sound (quick_check).
// FAILED_PRECONDITION: it is none. DATA_LOSS: what is wrong with it.
absl::Status CheckDatabaseFile(const std::string& path);

}  // namespace joulefarm::controller
