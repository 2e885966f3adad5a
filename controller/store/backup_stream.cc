#include "controller/store/backup_stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/store/backup.h"

namespace joulefarm::controller {

namespace {

constexpr char kCopy[] = "backup.tmp";
constexpr std::size_t kPartBytes = std::size_t{256} * 1024;

absl::Status Send(int fd, const std::string& path,
                  const std::function<bool(v1::BackupResponse)>& offer) {
  while (true) {
    v1::BackupResponse part;
    std::string& data = *part.mutable_data();
    data.resize(kPartBytes);
    const ssize_t got = read(fd, data.data(), data.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::UnavailableError(
          absl::StrCat("cannot read the copy ", path, ": ", std::strerror(errno)));
    }
    if (got == 0) return absl::OkStatus();
    data.resize(static_cast<std::size_t>(got));
    if (!offer(std::move(part))) return absl::CancelledError("nobody wants the copy any more");
  }
}

}  // namespace

absl::Status SendBackup(const std::filesystem::path& database,
                        const std::function<bool()>& canceled,
                        const std::function<bool(v1::BackupResponse)>& offer) {
  const std::string copy = (database.parent_path() / kCopy).string();
  const absl::Status copied = CopyDatabase(database.string(), copy, canceled);
  if (!copied.ok()) return copied;
  const int fd = open(copy.c_str(), O_RDONLY | O_CLOEXEC);
  const int error = errno;
  // Without a name from here on: it is gone with the descriptor, whatever happens.
  unlink(copy.c_str());
  if (fd < 0)
    return absl::UnavailableError(
        absl::StrCat("cannot read the copy ", copy, ": ", std::strerror(error)));
  absl::Status sent = Send(fd, copy, offer);
  close(fd);
  return sent;
}

void RemoveUnfinishedBackups(const std::filesystem::path& database) {
  std::error_code error;
  for (const char* suffix : {"", "-journal", "-wal", "-shm"})
    std::filesystem::remove(database.parent_path() / absl::StrCat(kCopy, suffix), error);
}

}  // namespace joulefarm::controller
