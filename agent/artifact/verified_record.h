// <file>.ok: that a file was hashed and found to be what its name says, and when.
//
// Thread rule: one file from one thread at a time. Ownership: none. Losing a record costs a hash.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "common/sha256/sha256.h"

namespace joulefarm::agent {

// Whether `file` has this hash: by its record when size, mtime, ctime and inode are still those
// that were recorded and that was at most a week ago, otherwise by reading it. A file that is
// something else is removed. CANCELLED after a stop, which leaves the file as it is.
absl::StatusOr<bool> IsVerified(const std::filesystem::path& file, const std::string& sha256,
                                std::int64_t wall_now_ns, const std::stop_token& stop);

// Feeds what `fd` has from where it stands into the hash; its length. `path` is for messages.
// CANCELLED soon after a stop.
absl::StatusOr<std::int64_t> HashRest(int fd, Sha256& hash, const std::filesystem::path& path,
                                      const std::stop_token& stop);

// Records that the file was found right just now.
void RecordVerified(const std::filesystem::path& file, std::int64_t wall_now_ns);

// Notes that the file is in use: its record's mtime is the time of last use.
void TouchRecord(const std::filesystem::path& file, std::int64_t wall_now_ns);

}  // namespace joulefarm::agent
