#include "agent/artifact/cache_room.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/sha256/sha256.h"

namespace joulefarm::agent {

std::vector<CachedFile> ListCached(const std::filesystem::path& dir) {
  std::map<std::string, CachedFile> files;
  std::map<std::string, std::int64_t> used;  // by records
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(dir, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string stem = it->path().stem().string();
    struct stat s {};
    if (!IsSha256Hex(stem) || stat(it->path().c_str(), &s) != 0) continue;
    CachedFile& file = files[stem];
    file.sha256 = stem;
    file.size_bytes += s.st_size;
    const std::int64_t changed =
        static_cast<std::int64_t>(s.st_mtim.tv_sec) * 1'000'000'000 + s.st_mtim.tv_nsec;
    file.used_ns = std::max(file.used_ns, changed);
    // The record of a verified file is touched whenever it is used.
    if (it->path().extension() == ".ok") used[stem] = changed;
  }
  std::vector<CachedFile> out;
  out.reserve(files.size());
  for (auto& [sha256, file] : files) {
    if (const auto known = used.find(sha256); known != used.end()) file.used_ns = known->second;
    out.push_back(std::move(file));
  }
  return out;
}

absl::StatusOr<std::vector<CachedFile>> ChooseEvictions(std::vector<CachedFile> files,
                                                        const std::set<std::string>& in_use,
                                                        const RoomWanted& wanted) {
  std::int64_t total = 0;
  for (const CachedFile& file : files) total += file.size_bytes;
  const std::int64_t over_disk = wanted.need_bytes - wanted.free_bytes;
  const std::int64_t over_quota =
      wanted.max_bytes ? total + wanted.need_bytes - *wanted.max_bytes : 0;
  std::int64_t to_free = std::max({std::int64_t{0}, over_disk, over_quota});
  std::sort(files.begin(), files.end(),
            [](const CachedFile& a, const CachedFile& b) { return a.used_ns < b.used_ns; });
  std::vector<CachedFile> evicted;
  for (CachedFile& file : files) {
    if (to_free <= 0) break;
    if (in_use.count(file.sha256) != 0) continue;
    to_free -= file.size_bytes;
    evicted.push_back(std::move(file));
  }
  if (to_free <= 0) return evicted;
  if (over_quota >= over_disk) {
    return absl::ResourceExhaustedError(absl::StrCat(
        wanted.need_bytes, " more bytes do not fit beside what running attempts use (",
        "artifact_max_bytes is ", *wanted.max_bytes,
        "): raise artifact_max_bytes in the agent's configuration, or run less at once"));
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(wanted.need_bytes, " more bytes are needed and the agent's disk has ",
                   wanted.free_bytes, " left, ", to_free,
                   " too few even without every cached file that is not in use: free some space"));
}

}  // namespace joulefarm::agent
