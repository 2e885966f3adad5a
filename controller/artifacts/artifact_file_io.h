// Small file calls of the artifact directory, with errors that name the file.
//
// Thread rule: any thread. Errors: RESOURCE_EXHAUSTED for a full disk, otherwise UNAVAILABLE.
#pragma once

#include <cstdint>
#include <filesystem>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm::controller {

// "cannot WHAT PATH: " and errno.
absl::Status ArtifactFileError(absl::string_view what, const std::filesystem::path& path);
absl::Status WriteAllBytes(int fd, absl::string_view data, const std::filesystem::path& path);
absl::Status SyncDirectory(const std::filesystem::path& directory);
// Size of a regular file.
std::int64_t FileSizeOr(const std::filesystem::path& path, std::int64_t otherwise);
// Wall-clock time of the last change, ns since the epoch; 0 when there is no such file.
std::int64_t ChangedWallNs(const std::filesystem::path& path);
// RESOURCE_EXHAUSTED, with figures, when the file system of `directory` has no room for `bytes`.
absl::Status CheckRoom(const std::filesystem::path& directory, std::int64_t bytes);

}  // namespace joulefarm::controller
