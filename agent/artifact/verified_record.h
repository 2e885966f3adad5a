// <file>.ok: that a file was hashed and found to be what its name says, and when.
//
// Thread rule: one file from one thread at a time. Ownership: none. Losing a record costs a hash.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace joulefarm::agent {

// Whether `file` has this hash: by its record when size, mtime, ctime and inode are still those
// that were recorded and that was at most a week ago, otherwise by reading it. A file that is
// something else is removed.
bool IsVerified(const std::filesystem::path& file, const std::string& sha256,
                std::int64_t wall_now_ns);

// Records that the file was found right just now.
void RecordVerified(const std::filesystem::path& file, std::int64_t wall_now_ns);

// Notes that the file is in use: its record's mtime is the time of last use.
void TouchRecord(const std::filesystem::path& file, std::int64_t wall_now_ns);

}  // namespace joulefarm::agent
