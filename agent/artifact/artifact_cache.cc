#include "agent/artifact/artifact_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/process/unique_fd.h"
#include "common/sha256/sha256.h"

namespace joulefarm::agent {
namespace {

namespace fs = std::filesystem;

absl::Status Failed(absl::string_view what, const fs::path& path) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat("cannot ", what, " ", path.string()));
}

// What the file system says about exactly this content; nullopt: no such file.
std::optional<std::string> Identity(const fs::path& file) {
  struct stat s {};
  if (stat(file.c_str(), &s) != 0) return std::nullopt;
  return absl::StrCat(s.st_size, " ", s.st_mtim.tv_sec, ".", s.st_mtim.tv_nsec, " ",
                      s.st_ctim.tv_sec, ".", s.st_ctim.tv_nsec, " ", s.st_ino);
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

// Feeds what an earlier try left into the hash; its length.
absl::StatusOr<std::int64_t> HashSoFar(int fd, Sha256& hash, const fs::path& path) {
  std::vector<char> buffer(256 << 10);
  std::int64_t total = 0;
  while (true) {
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("read", path);
    if (n == 0) return total;
    hash.Update(absl::string_view(buffer.data(), static_cast<std::size_t>(n)));
    total += n;
  }
}

}  // namespace

ArtifactCache::ArtifactCache(fs::path dir, ArtifactSource* source)
    : dir_(std::move(dir)), source_(source) {
  std::error_code error;
  fs::create_directories(dir_, error);  // what fails here fails again, with its reason, in Download
}

std::shared_ptr<std::mutex> ArtifactCache::LockOf(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<std::mutex>& one = locks_[sha256];
  if (!one) one = std::make_shared<std::mutex>();
  return one;
}

absl::StatusOr<fs::path> ArtifactCache::Get(const ArtifactRequest& request, std::stop_token stop,
                                            const std::function<void(std::int64_t)>& progress) {
  if (!IsSha256Hex(request.sha256)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", request.sha256, "\" is not a SHA-256 in lower-case hex"));
  }
  const std::shared_ptr<std::mutex> one = LockOf(request.sha256);
  const std::lock_guard lock(*one);
  const fs::path file = dir_ / request.sha256;
  if (Verified(file, request.sha256)) return file;
  absl::Status status = Download(request, stop, progress);
  // Bytes left by an earlier try may have been the wrong ones: once more from the start.
  if (absl::IsDataLoss(status) && !stop.stop_requested())
    status = Download(request, stop, progress);
  if (!status.ok()) {
    return absl::Status(status.code(),
                        absl::StrCat("artifact ", request.name, " (", request.sha256.substr(0, 12),
                                     "): ", status.message()));
  }
  return file;
}

bool ArtifactCache::Verified(const fs::path& file, const std::string& sha256) {
  const std::optional<std::string> identity = Identity(file);
  if (!identity) return false;
  std::ifstream in(file.string() + ".ok");
  std::stringstream known;
  known << in.rdbuf();
  if (known.str() == *identity) return true;
  const absl::StatusOr<std::string> actual = Sha256File(file);
  if (actual.ok() && *actual == sha256) {
    RememberVerified(file);
    return true;
  }
  std::error_code error;
  fs::remove(file, error);
  fs::remove(file.string() + ".ok", error);
  return false;
}

void ArtifactCache::RememberVerified(const fs::path& file) {
  const std::optional<std::string> identity = Identity(file);
  if (!identity) return;
  // Only saves time: if it cannot be written, or only in part, the file is hashed again next time.
  std::ofstream(file.string() + ".ok", std::ios::trunc) << *identity;
}

absl::Status ArtifactCache::Download(const ArtifactRequest& request, std::stop_token stop,
                                     const std::function<void(std::int64_t)>& progress) {
  const fs::path part = dir_ / (request.sha256 + ".part");
  const UniqueFd fd(open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.valid()) return Failed("create", part);
  Sha256 hash;
  absl::StatusOr<std::int64_t> size = HashSoFar(fd.get(), hash, part);
  if (!size.ok()) return size.status();
  if (request.size_bytes > 0 && *size > request.size_bytes) {
    if (ftruncate(fd.get(), 0) != 0 || lseek(fd.get(), 0, SEEK_SET) != 0)
      return Failed("empty", part);
    hash.HexDigest();
    size = 0;
  }
  const auto sink = [&](absl::string_view bytes) -> absl::Status {
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    const absl::Status written = WriteAll(fd.get(), bytes, part);
    if (!written.ok()) return written;
    hash.Update(bytes);
    *size += static_cast<std::int64_t>(bytes.size());
    if (request.size_bytes > 0 && *size > request.size_bytes) {
      return absl::DataLossError(
          absl::StrCat("more than the ", request.size_bytes, " bytes it should have"));
    }
    if (progress) progress(*size);
    return absl::OkStatus();
  };
  absl::Status fetched;
  if (request.size_bytes == 0 || *size < request.size_bytes) {
    fetched = source_->Fetch(request.sha256, *size, sink, stop);
  }
  if (absl::IsResourceExhausted(fetched)) {
    // Half a model is no use on a full disk, and others need the room.
    unlink(part.c_str());
    return fetched;
  }
  if (!fetched.ok() && !absl::IsDataLoss(fetched) && !absl::IsOutOfRange(fetched)) return fetched;
  const std::string actual = hash.HexDigest();
  if (!fetched.ok() || actual != request.sha256) {
    unlink(part.c_str());
    return absl::DataLossError(absl::StrCat("what was fetched has hash ", actual, " and ", *size,
                                            " bytes: not the content asked for"));
  }
  if (fsync(fd.get()) != 0) return Failed("sync", part);
  const fs::path file = dir_ / request.sha256;
  if (rename(part.c_str(), file.c_str()) != 0) return Failed("rename", part);
  const UniqueFd folder(open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || fsync(folder.get()) != 0) return Failed("sync", dir_);
  RememberVerified(file);
  return absl::OkStatus();
}

}  // namespace joulefarm::agent
