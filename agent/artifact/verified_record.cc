#include "agent/artifact/verified_record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {
namespace {

// Long enough that big models are not read for every job, short enough that a disk that forgets is
// found out.
constexpr std::int64_t kTrustedNs = std::int64_t{7} * 24 * 3600 * 1'000'000'000;

std::filesystem::path RecordOf(const std::filesystem::path& file) { return file.string() + ".ok"; }

// What the file system says about exactly this content; nullopt: no such file.
std::optional<std::string> Identity(const std::filesystem::path& file) {
  struct stat s {};
  if (stat(file.c_str(), &s) != 0) return std::nullopt;
  return absl::StrCat(s.st_size, " ", s.st_mtim.tv_sec, ".", s.st_mtim.tv_nsec, " ",
                      s.st_ctim.tv_sec, ".", s.st_ctim.tv_nsec, " ", s.st_ino);
}

}  // namespace

absl::StatusOr<std::int64_t> HashRest(int fd, Sha256& hash, const std::filesystem::path& path,
                                      const std::stop_token& stop) {
  std::vector<char> buffer(256 << 10);
  std::int64_t total = 0;
  while (true) {
    if (stop.stop_requested())
      return absl::CancelledError(absl::StrCat("stopped while reading ", path.string()));
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      return absl::ErrnoToStatus(error, absl::StrCat("cannot read ", path.string()));
    }
    if (n == 0) return total;
    hash.Update(absl::string_view(buffer.data(), static_cast<std::size_t>(n)));
    total += n;
  }
}

absl::StatusOr<bool> IsVerified(const std::filesystem::path& file, const std::string& sha256,
                                std::int64_t wall_now_ns, const std::stop_token& stop) {
  const std::optional<std::string> identity = Identity(file);
  if (!identity) return false;
  std::ifstream in(RecordOf(file));
  std::string known;
  std::int64_t hashed_ns = 0;
  // A clock that was put back makes the record's time the future: then it proves nothing.
  if (std::getline(in, known) && in >> hashed_ns && known == *identity &&
      hashed_ns <= wall_now_ns && wall_now_ns - hashed_ns <= kTrustedNs) {
    return true;
  }
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  Sha256 hash;
  const absl::StatusOr<std::int64_t> read = HashRest(fd.get(), hash, file, stop);
  if (absl::IsCancelled(read.status())) return read.status();
  if (read.ok() && hash.HexDigest() == sha256) {
    RecordVerified(file, wall_now_ns);
    return true;
  }
  std::error_code error;
  std::filesystem::remove(file, error);
  std::filesystem::remove(RecordOf(file), error);
  return false;
}

void RecordVerified(const std::filesystem::path& file, std::int64_t wall_now_ns) {
  const std::optional<std::string> identity = Identity(file);
  if (!identity) return;
  // Only saves time: if it cannot be written, or only in part, the file is hashed again next time.
  std::ofstream(RecordOf(file), std::ios::trunc) << *identity << '\n' << wall_now_ns << '\n';
  TouchRecord(file, wall_now_ns);
}

void TouchRecord(const std::filesystem::path& file, std::int64_t wall_now_ns) {
  const timespec now{.tv_sec = wall_now_ns / 1'000'000'000, .tv_nsec = wall_now_ns % 1'000'000'000};
  const timespec times[2] = {now, now};
  // Where it fails the file only looks older than it is.
  (void)utimensat(AT_FDCWD, RecordOf(file).c_str(), times, 0);
}

}  // namespace joulefarm::agent
