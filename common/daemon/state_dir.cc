#include "common/daemon/state_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace joulefarm {

namespace {

absl::Status FileError(const char* what, const std::filesystem::path& path) {
  return absl::UnavailableError(
      absl::StrCat("cannot ", what, " ", path.string(), ": ", std::strerror(errno)));
}

absl::Status WriteAll(int fd, absl::string_view text, const std::filesystem::path& path) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("write", path);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return absl::OkStatus();
}

}  // namespace

std::filesystem::path DefaultStateDir(absl::string_view name) {
  const std::filesystem::path leaf = std::filesystem::path("joulefarm") / std::string(name);
  if (::geteuid() == 0) return "/var/lib" / leaf;
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && state[0] == '/')
    return state / leaf;
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home == nullptr ? "." : home) / ".local" / "state" / leaf;
}

absl::StatusOr<std::unique_ptr<StateDir>> StateDir::Lock(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot make the state directory ", path.string(),
                                               ": ", error.message(),
                                               ": give another --state DIR"));
  }
  const std::filesystem::path lock = path / "lock";
  const int fd = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("open", lock);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    char pid[32] = {};
    (void)!::pread(fd, pid, sizeof(pid) - 1, 0);
    ::close(fd);
    return absl::FailedPreconditionError(
        absl::StrCat("the state directory ", path.string(), " is in use by process ",
                     absl::StripSuffix(pid, "\n"), ": stop that one, or give another --state DIR"));
  }
  const std::string pid = absl::StrCat(::getpid(), "\n");
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    const absl::Status status = FileError("write", lock);
    ::close(fd);
    return status;
  }
  return std::unique_ptr<StateDir>(new StateDir(path, fd));
}

StateDir::~StateDir() { ::close(fd_); }

StateDirLook LookAtStateDir(const std::filesystem::path& path) {
  using Kind = StateDirLook::Kind;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {error ? Kind::kNoAccess : Kind::kMissing, ""};
  if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0) return {Kind::kNoAccess, ""};
  const std::filesystem::path lock = path / "lock";
  const int fd = ::open(lock.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {errno == ENOENT ? Kind::kFree : Kind::kNoAccess, ""};
  StateDirLook look;
  look.kind = Kind::kFree;
  if (::flock(fd, LOCK_SH | LOCK_NB) != 0) {
    look.kind = Kind::kInUse;
    char pid[32] = {};
    (void)!::pread(fd, pid, sizeof(pid) - 1, 0);
    look.pid = std::string(absl::StripSuffix(pid, "\n"));
  }
  ::close(fd);
  return look;
}

absl::Status ReplaceFile(const std::filesystem::path& path, absl::string_view text) {
  const std::filesystem::path temporary = path.string() + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("open", temporary);
  absl::Status status = WriteAll(fd, text, temporary);
  if (status.ok() && ::fsync(fd) != 0) status = FileError("sync", temporary);
  ::close(fd);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0)
    status = FileError("replace", path);
  return status;
}

}  // namespace joulefarm
