// Files by content on this host: STATE/artifacts/<sha256>, complete and verified, or not there at
// all.
//
// A download goes to <sha256>.part, where a broken one is resumed, and gets its name only after its
// hash was checked and it is durable. <sha256>.ok remembers size, mtime, ctime and inode of the
// file that was verified, and when. The file is hashed again before use when any of them differs or
// the last time was more than a week ago, and fetched again if it is not what its name says.
//
// Before a download the least recently used files make room, for the quota and for the disk; never
// one that somebody holds.
//
// Thread rule: Get may be called from any thread; gets of one file wait for each other. Ownership:
// the source outlives the cache; what Get returns may outlive it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm::agent {

// Where artifacts come from.
class ArtifactSource {
 public:
  virtual ~ArtifactSource() = default;
  // Hands the content from `offset` on to `sink`, in order; an error of the sink ends the fetch and
  // is returned. CANCELLED after a stop, NOT_FOUND, UNAVAILABLE when trying again may help,
  // DATA_LOSS when the source itself found its copy damaged.
  virtual absl::Status Fetch(const std::string& sha256, std::int64_t offset,
                             const std::function<absl::Status(absl::string_view)>& sink,
                             std::stop_token stop) = 0;
};

struct ArtifactRequest {
  std::string sha256;
  std::int64_t size_bytes = 0;  // 0: not known
  std::string name;             // for messages
};

struct ArtifactCacheOptions {
  // Most bytes of everything cached; absent: as much as the disk holds.
  std::optional<std::int64_t> max_bytes = std::nullopt;
  // Told what is thrown out and why; may be empty.
  std::function<void(const std::string&)> note = {};
  // Wall clock, ns since the epoch. Default: the system's.
  std::function<std::int64_t()> wall_now_ns = {};
};

// A verified file that stays as long as this lives. Moves only.
class CachedArtifact {
 public:
  const std::filesystem::path& path() const { return path_; }
  // What was transferred for it; 0 when it was there.
  std::int64_t fetched_bytes() const { return fetched_bytes_; }

 private:
  friend class ArtifactCache;
  std::filesystem::path path_;
  std::int64_t fetched_bytes_ = 0;
  std::shared_ptr<void> hold_;
};

class ArtifactCache {
 public:
  // `dir` is created when it is not there.
  ArtifactCache(std::filesystem::path dir, ArtifactSource* source,
                ArtifactCacheOptions options = {});

  // The verified file. RESOURCE_EXHAUSTED: disk or quota full of what is in use;
  // FAILED_PRECONDITION: larger than the whole quota, or the source's copy is damaged; DATA_LOSS:
  // what was fetched twice is not what was asked for; CANCELLED after a stop; otherwise the
  // source's error. `progress` is told the bytes there are now; may be empty.
  absl::StatusOr<CachedArtifact> Get(const ArtifactRequest& request, const std::stop_token& stop,
                                     const std::function<void(std::int64_t)>& progress = {});

 private:
  struct Download;
  struct Holds;

  std::shared_ptr<void> Hold(const std::string& sha256);
  absl::Status Fetch(const ArtifactRequest& request, const std::stop_token& stop,
                     const std::function<void(std::int64_t)>& progress, std::int64_t& fetched);
  absl::Status FetchOnce(Download& download, const std::stop_token& stop,
                         const std::function<void(std::int64_t)>& progress);
  absl::Status Finish(Download& download);
  absl::Status MakeRoom(const ArtifactRequest& request);
  std::shared_ptr<std::mutex> LockOf(const std::string& sha256);

  const std::filesystem::path dir_;
  ArtifactSource* const source_;
  const ArtifactCacheOptions options_;
  const std::shared_ptr<Holds> holds_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<std::mutex>> locks_;  // one per artifact ever asked for
  std::mutex room_mutex_;
  std::map<std::string, std::int64_t> downloading_;  // full sizes; guarded by room_mutex_
};

}  // namespace joulefarm::agent
