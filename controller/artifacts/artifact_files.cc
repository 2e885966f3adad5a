#include "controller/artifacts/artifact_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace joulefarm::controller {

namespace {

absl::Status FileError(const char* what, const std::filesystem::path& path) {
  const int error = errno;
  const std::string text =
      absl::StrCat("cannot ", what, " ", path.string(), ": ", std::strerror(error));
  if (error == ENOSPC || error == EDQUOT)
    return absl::ResourceExhaustedError(absl::StrCat(text, ": free some space there"));
  return absl::UnavailableError(text);
}

absl::Status SyncDirectory(const std::filesystem::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("open", directory);
  const int result = ::fsync(fd);
  ::close(fd);
  return result == 0 ? absl::OkStatus() : FileError("sync", directory);
}

}  // namespace

absl::Status CheckArtifactName(absl::string_view name) {
  bool ok = !name.empty() && name.size() <= 128 && name[0] != '.' && name[0] != '-';
  for (const char c : name) ok = ok && (absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-');
  if (ok) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name,
                   "\" cannot name an artifact: use 1 to 128 letters, digits, '.', '_' "
                   "and '-', not beginning with '.' or '-'"));
}

ArtifactUpload::ArtifactUpload(int fd, std::filesystem::path temporary,
                               std::filesystem::path target, std::string sha256,
                               std::int64_t size_bytes)
    : fd_(fd),
      temporary_(std::move(temporary)),
      target_(std::move(target)),
      sha256_(std::move(sha256)),
      size_bytes_(size_bytes) {}

ArtifactUpload::~ArtifactUpload() {
  if (fd_ < 0) return;
  ::close(fd_);
  std::error_code ignored;  // swept at the next start
  std::filesystem::remove(temporary_, ignored);
}

absl::Status ArtifactUpload::Write(absl::string_view data) {
  if (written_ + static_cast<std::int64_t>(data.size()) > size_bytes_) {
    return absl::OutOfRangeError(
        absl::StrCat("more content than the announced ", size_bytes_, " bytes"));
  }
  hash_.Update(data);
  written_ += static_cast<std::int64_t>(data.size());
  while (!data.empty()) {
    const ssize_t n = ::write(fd_, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("write", temporary_);
    data.remove_prefix(static_cast<std::size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status ArtifactUpload::Commit() {
  const std::string got = hash_.HexDigest();
  if (written_ != size_bytes_ || got != sha256_) {
    return absl::DataLossError(absl::StrCat("the content is not what was announced: ", written_,
                                            " of ", size_bytes_, " bytes, SHA-256 ", got,
                                            " instead of ", sha256_, ": push it again"));
  }
  if (::fsync(fd_) != 0) return FileError("sync", temporary_);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) return FileError("rename", temporary_);
  ::close(std::exchange(fd_, -1));
  return SyncDirectory(target_.parent_path());
}

absl::StatusOr<std::unique_ptr<ArtifactFiles>> ArtifactFiles::Open(
    const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    return absl::UnavailableError(
        absl::StrCat("cannot make ", directory.string(), ": ", error.message()));
  for (auto it = std::filesystem::directory_iterator(directory, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (absl::StartsWith(it->path().filename().string(), ".upload-"))
      std::filesystem::remove(it->path(), ignored);
  }
  if (error)
    return absl::UnavailableError(
        absl::StrCat("cannot read ", directory.string(), ": ", error.message()));
  return std::unique_ptr<ArtifactFiles>(new ArtifactFiles(directory));
}

bool ArtifactFiles::Has(const std::string& sha256) const {
  std::error_code ignored;
  return IsSha256Hex(sha256) && std::filesystem::is_regular_file(PathOf(sha256), ignored);
}

absl::StatusOr<std::unique_ptr<ArtifactUpload>> ArtifactFiles::Begin(
    const std::string& sha256, std::int64_t size_bytes) const {
  if (!IsSha256Hex(sha256))
    return absl::InvalidArgumentError("sha256 must be 64 lower-case hex digits");
  if (size_bytes < 0) return absl::InvalidArgumentError("size_bytes must not be negative");
  std::string pattern = (directory_ / ".upload-XXXXXX").string();
  const int fd = ::mkostemp(pattern.data(), O_CLOEXEC);
  if (fd < 0) return FileError("make a file in", directory_);
  return std::unique_ptr<ArtifactUpload>(
      new ArtifactUpload(fd, pattern, PathOf(sha256), sha256, size_bytes));
}

}  // namespace joulefarm::controller
