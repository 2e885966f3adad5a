#include "controller/artifacts/artifact_upload.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/artifacts/artifact_file_io.h"

namespace joulefarm::controller {

namespace {

constexpr std::int64_t kReadBytes = std::int64_t{256} * 1024;

}  // namespace

ArtifactUpload::~ArtifactUpload() {
  if (fd_ < 0) return;
  const bool empty = ::lseek(fd_, 0, SEEK_END) == 0;
  ::close(fd_);
  if (keep_ && !empty) return;
  std::error_code ignored;  // swept at the next start
  std::filesystem::remove(path_, ignored);
}

absl::Status ArtifactUpload::ResumeAt(std::int64_t offset) {
  if (::ftruncate(fd_, offset) != 0) return ArtifactFileError("shorten", path_);
  std::vector<char> buffer(static_cast<std::size_t>(kReadBytes));
  while (written_ < offset) {
    const auto want = static_cast<std::size_t>(std::min(kReadBytes, offset - written_));
    const ssize_t n = ::pread(fd_, buffer.data(), want, written_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ArtifactFileError("read", path_);
    if (n == 0) return absl::UnavailableError(absl::StrCat(path_.string(), " shrinks"));
    hash_.Update(absl::string_view(buffer.data(), static_cast<std::size_t>(n)));
    written_ += n;
  }
  if (::lseek(fd_, offset, SEEK_SET) != offset) return ArtifactFileError("seek in", path_);
  return absl::OkStatus();
}

absl::Status ArtifactUpload::Write(absl::string_view data) {
  if (written_ + static_cast<std::int64_t>(data.size()) > size_bytes_) {
    keep_ = false;
    return absl::OutOfRangeError(
        absl::StrCat("more content than the announced ", size_bytes_, " bytes"));
  }
  if (const absl::Status written = WriteAllBytes(fd_, data, path_); !written.ok()) {
    // Others need the room more than half a file does.
    if (absl::IsResourceExhausted(written)) keep_ = false;
    return written;
  }
  hash_.Update(data);
  written_ += static_cast<std::int64_t>(data.size());
  return absl::OkStatus();
}

absl::Status ArtifactUpload::Verify() {
  if (written_ < size_bytes_) {
    return absl::DataLossError(absl::StrCat(
        "the content ends after ", written_, " of ", size_bytes_, " bytes: push it again",
        keep_ && written_ > 0 ? ", it goes on from there" : ""));
  }
  const std::string got = hash_.HexDigest();
  if (got == sha256_) return absl::OkStatus();
  keep_ = false;
  return absl::DataLossError(absl::StrCat("the content is not what was announced: SHA-256 ", got,
                                          " instead of ", sha256_, ": push it again"));
}

absl::Status ArtifactUpload::Publish() {
  if (::fsync(fd_) != 0) return ArtifactFileError("sync", path_);
  if (::rename(path_.c_str(), target_.c_str()) != 0) return ArtifactFileError("rename", path_);
  ::close(std::exchange(fd_, -1));
  return SyncDirectory(target_.parent_path());
}

}  // namespace joulefarm::controller
