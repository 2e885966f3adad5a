#include "agent/spool/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {
namespace {

absl::Status Failed(absl::string_view what, const std::filesystem::path& path) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat("cannot ", what, " ", path.string()));
}

absl::Status SyncFolder(const std::filesystem::path& folder) {
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) return Failed("sync", folder);
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteDurably(const std::filesystem::path& path, absl::string_view text) {
  const std::filesystem::path temporary = path.string() + ".new";
  {
    const UniqueFd file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file.valid()) return Failed("create", temporary);
    std::size_t written = 0;
    while (written < text.size()) {
      const ssize_t n = write(file.get(), text.data() + written, text.size() - written);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Failed("write", temporary);
      written += static_cast<std::size_t>(n);
    }
    if (fsync(file.get()) != 0) return Failed("sync", temporary);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return Failed("replace", path);
  return SyncFolder(path.parent_path());
}

absl::Status RemoveDurably(const std::filesystem::path& path) {
  if (unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return Failed("remove", path);
  }
  return SyncFolder(path.parent_path());
}

}  // namespace joulefarm::agent
