// Copies of the results database.
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

}  // namespace joulefarm::controller
