// Which cached files have to go so that another one has room.
//
// Thread rule: pure but for ListCached, which reads the folder; any thread. Ownership: values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace joulefarm::agent {

// One content in the cache folder, complete or partly there.
struct CachedFile {
  std::string sha256;
  std::int64_t size_bytes = 0;
  std::int64_t used_ns = 0;  // wall clock; when it was last used
};

// What lies in the folder.
std::vector<CachedFile> ListCached(const std::filesystem::path& dir);

struct RoomWanted {
  std::int64_t need_bytes = 0;                           // more than there is now
  std::int64_t free_bytes = 0;                           // of the disk
  std::optional<std::int64_t> max_bytes = std::nullopt;  // of the whole cache
};

// The least recently used files that have to go, never one that is in use. RESOURCE_EXHAUSTED, with
// figures and what to do, when that is not enough.
absl::StatusOr<std::vector<CachedFile>> ChooseEvictions(std::vector<CachedFile> files,
                                                        const std::set<std::string>& in_use,
                                                        const RoomWanted& wanted);

}  // namespace joulefarm::agent
