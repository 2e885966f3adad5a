// Files by content on this host: STATE/artifacts/<sha256>, complete and verified, or not there at
// all.
//
// A download goes to <sha256>.part, where a broken one is resumed, and gets its name only after its
// hash was checked and it is durable. <sha256>.ok remembers size, mtime, ctime and inode of the
// file that was verified; when any of them differs the file is hashed again before use, and fetched
// again if it is not what its name says.
//
// Thread rule: Get may be called from any thread; gets of one file wait for each other. Ownership:
// the source outlives the cache.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
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
  // is returned. CANCELLED after a stop, NOT_FOUND, UNAVAILABLE when trying again may help.
  virtual absl::Status Fetch(const std::string& sha256, std::int64_t offset,
                             const std::function<absl::Status(absl::string_view)>& sink,
                             std::stop_token stop) = 0;
};

struct ArtifactRequest {
  std::string sha256;
  std::int64_t size_bytes = 0;  // 0: not known
  std::string name;             // for messages
};

class ArtifactCache {
 public:
  // `dir` is created when it is not there.
  ArtifactCache(std::filesystem::path dir, ArtifactSource* source);

  // The verified file. RESOURCE_EXHAUSTED: disk full; DATA_LOSS: what was fetched twice is not what
  // was asked for; CANCELLED after a stop; otherwise the source's error. `progress` is told the
  // bytes there are now; may be empty.
  absl::StatusOr<std::filesystem::path> Get(const ArtifactRequest& request, std::stop_token stop,
                                            const std::function<void(std::int64_t)>& progress = {});

 private:
  bool Verified(const std::filesystem::path& file, const std::string& sha256);
  void RememberVerified(const std::filesystem::path& file);
  absl::Status Download(const ArtifactRequest& request, std::stop_token stop,
                        const std::function<void(std::int64_t)>& progress);
  std::shared_ptr<std::mutex> LockOf(const std::string& sha256);

  const std::filesystem::path dir_;
  ArtifactSource* const source_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<std::mutex>> locks_;  // one per artifact ever asked for
};

}  // namespace joulefarm::agent
