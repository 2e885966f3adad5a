#include "agent/artifact/verified_record.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/sha256/sha256.h"

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

bool IsVerified(const std::filesystem::path& file, const std::string& sha256,
                std::int64_t wall_now_ns) {
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
  const absl::StatusOr<std::string> actual = Sha256File(file);
  if (actual.ok() && *actual == sha256) {
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
