// SQLite's exceptions as statuses.
//
// Thread rule: pure. Ownership: none.
#pragma once

#include <SQLiteCpp/Exception.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace joulefarm::agent {

// RESOURCE_EXHAUSTED for a full disk, DATA_LOSS for a damaged file, ALREADY_EXISTS for a key that
// is there, FAILED_PRECONDITION for a file of a newer agent, UNAVAILABLE otherwise. `path` is named
// in the message.
absl::Status SpoolStatus(const SQLite::Exception& error, absl::string_view path);

}  // namespace joulefarm::agent
