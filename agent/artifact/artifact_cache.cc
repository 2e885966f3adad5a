#include "agent/artifact/artifact_cache.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "agent/artifact/cache_room.h"
#include "agent/artifact/verified_record.h"
#include "agent/process/unique_fd.h"
#include "common/sha256/sha256.h"
#include "common/time/wall_now.h"

namespace joulefarm::agent {
namespace {

namespace fs = std::filesystem;

absl::Status Failed(absl::string_view what, const fs::path& path) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat("cannot ", what, " ", path.string()));
}

absl::Status WriteAll(int fd, absl::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("write", path);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return absl::OkStatus();
}

std::int64_t SizeOf(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

ArtifactCacheOptions WithDefaults(ArtifactCacheOptions options) {
  if (!options.wall_now_ns) options.wall_now_ns = WallNowNs;
  return options;
}

}  // namespace

// How often each content is held right now.
struct ArtifactCache::Holds {
  std::mutex mutex;
  std::map<std::string, int> counts;  // guarded by mutex
};

// One try to get a content, appended to what an earlier one left.
struct ArtifactCache::Download {
  const ArtifactRequest& request;
  fs::path part;
  UniqueFd fd;
  Sha256 hash;
  std::int64_t begun_at = 0;
  std::int64_t size = 0;
};

ArtifactCache::ArtifactCache(fs::path dir, ArtifactSource* source, ArtifactCacheOptions options)
    : dir_(std::move(dir)),
      source_(source),
      options_(WithDefaults(std::move(options))),
      holds_(std::make_shared<Holds>()) {
  std::error_code error;
  fs::create_directories(dir_, error);  // what fails here fails again, with its reason, in Fetch
}

std::shared_ptr<std::mutex> ArtifactCache::LockOf(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<std::mutex>& one = locks_[sha256];
  if (!one) one = std::make_shared<std::mutex>();
  return one;
}

std::shared_ptr<void> ArtifactCache::Hold(const std::string& sha256) {
  {
    const std::lock_guard lock(holds_->mutex);
    ++holds_->counts[sha256];
  }
  // The end of use counts as a use: what ran for an hour is not old.
  return {nullptr, [holds = holds_, file = dir_ / sha256, now = options_.wall_now_ns,
                    sha256](std::nullptr_t) {
            TouchRecord(file, now());
            const std::lock_guard lock(holds->mutex);
            const auto it = holds->counts.find(sha256);
            if (--it->second == 0) holds->counts.erase(it);
          }};
}

absl::StatusOr<CachedArtifact> ArtifactCache::Get(
    const ArtifactRequest& request, const std::stop_token& stop,
    const std::function<void(std::int64_t)>& progress) {
  if (!IsSha256Hex(request.sha256)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", request.sha256, "\" is not a SHA-256 in lower-case hex"));
  }
  const std::shared_ptr<std::mutex> one = LockOf(request.sha256);
  const std::lock_guard lock(*one);
  CachedArtifact artifact;
  artifact.path_ = dir_ / request.sha256;
  artifact.hold_ = Hold(request.sha256);  // before it is looked at, so that nobody evicts it then
  const auto in_error = [&](const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat("artifact ", request.name, " (", request.sha256.substr(0, 12),
                                     "): ", status.message()));
  };
  const absl::StatusOr<bool> verified =
      IsVerified(artifact.path_, request.sha256, options_.wall_now_ns(), stop);
  if (!verified.ok()) return in_error(verified.status());
  if (*verified) {
    TouchRecord(artifact.path_, options_.wall_now_ns());
    return artifact;
  }
  absl::Status status = Fetch(request, stop, progress, artifact.fetched_bytes_);
  // Bytes left by an earlier try may have been the wrong ones: once more from the start.
  if (absl::IsDataLoss(status) && !stop.stop_requested())
    status = Fetch(request, stop, progress, artifact.fetched_bytes_);
  if (status.ok()) return artifact;
  return in_error(status);
}

absl::Status ArtifactCache::Fetch(const ArtifactRequest& request, const std::stop_token& stop,
                                  const std::function<void(std::int64_t)>& progress,
                                  std::int64_t& fetched) {
  if (const absl::Status room = MakeRoom(request); !room.ok()) return room;
  const auto forget = absl::MakeCleanup([&] {
    const std::lock_guard lock(room_mutex_);
    downloading_.erase(request.sha256);
  });
  Download download{
      .request = request, .part = dir_ / (request.sha256 + ".part"), .fd = {}, .hash = {}};
  download.fd = UniqueFd(open(download.part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!download.fd.valid()) return Failed("create", download.part);
  absl::StatusOr<std::int64_t> kept =
      HashRest(download.fd.get(), download.hash, download.part, stop);
  if (!kept.ok()) return kept.status();
  if (request.size_bytes > 0 && *kept > request.size_bytes) {
    if (ftruncate(download.fd.get(), 0) != 0 || lseek(download.fd.get(), 0, SEEK_SET) != 0)
      return Failed("empty", download.part);
    download.hash.HexDigest();
    kept = 0;
  }
  download.begun_at = *kept;
  download.size = *kept;
  const absl::Status status = FetchOnce(download, stop, progress);
  fetched += download.size - download.begun_at;
  return status;
}

absl::Status ArtifactCache::FetchOnce(Download& download, const std::stop_token& stop,
                                      const std::function<void(std::int64_t)>& progress) {
  const ArtifactRequest& request = download.request;
  const auto sink = [&](absl::string_view bytes) -> absl::Status {
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    const absl::Status written = WriteAll(download.fd.get(), bytes, download.part);
    if (!written.ok()) return written;
    download.hash.Update(bytes);
    download.size += static_cast<std::int64_t>(bytes.size());
    if (request.size_bytes > 0 && download.size > request.size_bytes) {
      return absl::OutOfRangeError(
          absl::StrCat("more than the ", request.size_bytes, " bytes it should have"));
    }
    if (progress) progress(download.size);
    return absl::OkStatus();
  };
  absl::Status fetched;
  if (request.size_bytes == 0 || download.size < request.size_bytes)
    fetched = source_->Fetch(request.sha256, download.size, sink, stop);
  if (absl::IsResourceExhausted(fetched) || absl::IsDataLoss(fetched)) {
    // Half a model is no use on a full disk, where others need the room; nor is a damaged one.
    unlink(download.part.c_str());
    return absl::IsDataLoss(fetched) ? absl::FailedPreconditionError(fetched.message()) : fetched;
  }
  // Past the end of the content: what an earlier try left is of something else.
  if (!fetched.ok() && !absl::IsOutOfRange(fetched)) return fetched;
  const std::string actual = download.hash.HexDigest();
  if (fetched.ok() && actual == request.sha256) return Finish(download);
  unlink(download.part.c_str());
  return absl::DataLossError(absl::StrCat("what was fetched has hash ", actual, " and ",
                                          download.size, " bytes: not the content asked for"));
}

absl::Status ArtifactCache::Finish(Download& download) {
  if (fsync(download.fd.get()) != 0) return Failed("sync", download.part);
  const fs::path file = dir_ / download.request.sha256;
  if (rename(download.part.c_str(), file.c_str()) != 0) return Failed("rename", download.part);
  const UniqueFd folder(open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || fsync(folder.get()) != 0) return Failed("sync", dir_);
  RecordVerified(file, options_.wall_now_ns());
  return absl::OkStatus();
}

absl::Status ArtifactCache::MakeRoom(const ArtifactRequest& request) {
  if (options_.max_bytes && request.size_bytes > *options_.max_bytes) {
    return absl::FailedPreconditionError(absl::StrCat(
        "it has ", request.size_bytes, " bytes and this agent keeps at most ", *options_.max_bytes,
        ": raise artifact_max_bytes in the agent's configuration, or use a smaller model"));
  }
  const std::lock_guard lock(room_mutex_);
  std::vector<CachedFile> files = ListCached(dir_);
  std::set<std::string> in_use;
  {
    const std::lock_guard holding(holds_->mutex);
    for (const auto& [sha256, count] : holds_->counts) in_use.insert(sha256);
  }
  struct statvfs disk {};
  if (statvfs(dir_.c_str(), &disk) != 0) return Failed("look at", dir_);
  RoomWanted wanted{.need_bytes = request.size_bytes - SizeOf(dir_ / (request.sha256 + ".part")),
                    .free_bytes = static_cast<std::int64_t>(disk.f_bavail * disk.f_frsize),
                    .max_bytes = options_.max_bytes};
  // Downloads that run beside this one count as if they were there.
  for (CachedFile& file : files) {
    const auto running = downloading_.find(file.sha256);
    if (running == downloading_.end() || running->second <= file.size_bytes) continue;
    wanted.free_bytes -= running->second - file.size_bytes;
    file.size_bytes = running->second;
  }
  absl::StatusOr<std::vector<CachedFile>> evicted =
      ChooseEvictions(std::move(files), in_use, wanted);
  if (!evicted.ok()) {
    return absl::Status(evicted.status().code(),
                        absl::StrCat(dir_.string(), ": ", evicted.status().message()));
  }
  for (const CachedFile& file : *evicted) {
    std::error_code error;
    for (const char* suffix : {".ok", ".part", ""})
      fs::remove(dir_ / (file.sha256 + suffix), error);
    if (options_.note) {
      options_.note(absl::StrCat("artifact ", file.sha256.substr(0, 12), " (", file.size_bytes,
                                 " bytes), the least recently used, makes room for ",
                                 request.name));
    }
  }
  downloading_[request.sha256] = request.size_bytes;
  return absl::OkStatus();
}

}  // namespace joulefarm::agent
