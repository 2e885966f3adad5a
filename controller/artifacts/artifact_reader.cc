#include "controller/artifacts/artifact_reader.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/artifacts/artifact_file_io.h"

namespace joulefarm::controller {

ArtifactReader::ArtifactReader(int fd, std::filesystem::path path,
                               std::unique_ptr<ArtifactUses::Use> use, std::string sha256,
                               std::int64_t offset)
    : fd_(fd),
      path_(std::move(path)),
      use_(std::move(use)),
      sha256_(std::move(sha256)),
      at_(offset) {
  // What goes on from the middle is checked by whoever has the beginning.
  if (offset == 0) hash_.emplace();
}

ArtifactReader::~ArtifactReader() { ::close(fd_); }

absl::Status ArtifactReader::Next(std::size_t most, std::string& data) {
  data.resize(most);
  ssize_t n = -1;
  do {
    n = ::pread(fd_, data.data(), data.size(), at_);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return ArtifactFileError("read", path_);
  data.resize(static_cast<std::size_t>(n));
  at_ += n;
  if (n == 0) return CheckHash();
  if (hash_) hash_->Update(data);
  return absl::OkStatus();
}

absl::Status ArtifactReader::CheckHash() {
  if (!hash_) return absl::OkStatus();
  const std::string actual = hash_->HexDigest();
  hash_.reset();
  if (actual == sha256_) return absl::OkStatus();
  const std::string aside = path_.string() + ".damaged";
  const bool moved = ::rename(path_.c_str(), aside.c_str()) == 0;
  return absl::DataLossError(absl::StrCat(
      "the controller's copy of content ", sha256_.substr(0, 12), " is damaged: its ", at_,
      " bytes have SHA-256 ", actual.substr(0, 12), "; it was ",
      moved ? absl::StrCat("set aside as ", aside) : "left in place",
      ": push the file again with `joulefarm artifact push`, and have a look at that disk"));
}

absl::Status ArtifactReader::Verify() {
  std::string data;
  do {
    if (const absl::Status read = Next(std::size_t{256} * 1024, data); !read.ok()) return read;
  } while (!data.empty());
  return absl::OkStatus();
}

}  // namespace joulefarm::controller
