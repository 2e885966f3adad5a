// A copy of the database on its way to an operator: made beside the database, sent, and gone.
//
// Threads: any; calls block. Ownership: none.
#pragma once

#include <filesystem>
#include <functional>

#include "absl/status/status.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::controller {

// Copies the database into a file beside it and hands the copy out in parts until `offer` says no
// more. The file is removed in every case. Errors as CopyDatabase, and UNAVAILABLE when the copy
// cannot be read.
absl::Status SendBackup(const std::filesystem::path& database,
                        const std::function<bool()>& canceled,
                        const std::function<bool(v1::BackupResponse)>& offer);

// What a controller that was killed while it copied left behind. When nobody copies.
void RemoveUnfinishedBackups(const std::filesystem::path& database);

}  // namespace joulefarm::controller
