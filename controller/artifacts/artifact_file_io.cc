#include "controller/artifacts/artifact_file_io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace joulefarm::controller {

absl::Status ArtifactFileError(absl::string_view what, const std::filesystem::path& path) {
  const int error = errno;
  const std::string text =
      absl::StrCat("cannot ", what, " ", path.string(), ": ", std::strerror(error));
  if (error == ENOSPC || error == EDQUOT)
    return absl::ResourceExhaustedError(absl::StrCat(text, ": free some space there"));
  return absl::UnavailableError(text);
}

absl::Status WriteAllBytes(int fd, absl::string_view data, const std::filesystem::path& path) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ArtifactFileError("write", path);
    data.remove_prefix(static_cast<std::size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::filesystem::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ArtifactFileError("open", directory);
  const int result = ::fsync(fd);
  ::close(fd);
  return result == 0 ? absl::OkStatus() : ArtifactFileError("sync", directory);
}

std::int64_t FileSizeOr(const std::filesystem::path& path, std::int64_t otherwise) {
  struct stat s {};
  return ::stat(path.c_str(), &s) == 0 && S_ISREG(s.st_mode) ? s.st_size : otherwise;
}

std::int64_t ChangedWallNs(const std::filesystem::path& path) {
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0) return 0;
  return static_cast<std::int64_t>(s.st_mtim.tv_sec) * 1'000'000'000 + s.st_mtim.tv_nsec;
}

absl::Status CheckRoom(const std::filesystem::path& directory, std::int64_t bytes) {
  struct statvfs fs {};
  if (::statvfs(directory.c_str(), &fs) != 0) return ArtifactFileError("look at", directory);
  const auto available = static_cast<std::int64_t>(fs.f_bavail * fs.f_frsize);
  if (bytes <= available) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the controller's disk has no room for it: ", bytes, " bytes are to come and ",
                   directory.string(), " has ", available,
                   " left: free some space there, for instance with `joulefarm artifact gc`"));
}

}  // namespace joulefarm::controller
