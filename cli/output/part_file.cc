#include "cli/output/part_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace joulefarm::cli {
namespace {

// Of the last system call.
absl::Status Failed(absl::string_view doing, const std::string& path) {
  const int error = errno;
  const std::string text = absl::StrCat("cannot ", doing, " ", path, ": ", std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) {
    return absl::ResourceExhaustedError(
        absl::StrCat(text, ": make room there or name a file on another disk"));
  }
  if (error == EIO) return absl::DataLossError(text);
  return absl::InvalidArgumentError(
      absl::StrCat(text, ": name a file in a directory you may write to"));
}

// The file a chain of symbolic links leads to.
std::string Followed(const std::string& file) {
  std::error_code error;
  if (!std::filesystem::is_symlink(file, error)) return file;
  const std::filesystem::path target = std::filesystem::weakly_canonical(file, error);
  return error ? file : target.string();
}

}  // namespace

absl::StatusOr<std::unique_ptr<PartFile>> PartFile::Create(const std::string& named,
                                                           Existing existing, mode_t mode) {
  struct stat there {};
  if (existing == Existing::kKeep && lstat(named.c_str(), &there) == 0)
    return absl::AlreadyExistsError(absl::StrCat(named, " exists"));
  const bool exists = stat(named.c_str(), &there) == 0;
  if (exists && S_ISDIR(there.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot write ", named, ": it is a directory, name a file in it"));
  }
  const bool special = exists && !S_ISREG(there.st_mode);
  const std::string file = special ? named : Followed(named);
  // A rename would replace a file that may not be written to.
  if (exists && access(file.c_str(), W_OK) != 0) return Failed("write", file);
  const std::string path = special ? file : file + ".part";
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | (special ? 0 : O_CREAT | O_TRUNC), mode);
  if (fd < 0) return Failed("write", path);
  // What replaces a file is as readable as that was.
  if (exists && !special) fchmod(fd, there.st_mode & 0777);
  return std::unique_ptr<PartFile>(new PartFile(file, path, fd, existing));
}

PartFile::PartFile(std::string file, std::string path, int fd, Existing existing)
    : file_(std::move(file)),
      path_(std::move(path)),
      existing_(existing),
      fd_(fd),
      kept_(path_ == file_) {}

PartFile::~PartFile() {
  close(fd_);
  if (!kept_) unlink(path_.c_str());
}

absl::Status PartFile::Write(absl::string_view piece) {
  if (!failed_.ok()) return failed_;
  std::size_t done = 0;
  while (done < piece.size()) {
    const ssize_t written = write(fd_, piece.data() + done, piece.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed_ = Failed("write", path_);
    done += static_cast<std::size_t>(written);
  }
  size_ += static_cast<std::int64_t>(piece.size());
  return absl::OkStatus();
}

absl::Status PartFile::Sync() {
  stream_.flush();
  if (failed_.ok() && path_ != file_ && fsync(fd_) != 0) failed_ = Failed("write", path_);
  return failed_;
}

absl::Status PartFile::Keep() {
  stream_.flush();
  if (!failed_.ok() || kept_) return failed_;
  if (existing_ == Existing::kReplace) {
    if (rename(path_.c_str(), file_.c_str()) != 0) return Failed("replace", file_);
    kept_ = true;
  } else if (link(path_.c_str(), file_.c_str()) != 0) {  // unlike rename, never over another file
    if (errno == EEXIST) return absl::AlreadyExistsError(absl::StrCat(file_, " exists by now"));
    // A file system without links: the first look has to be enough.
    if (rename(path_.c_str(), file_.c_str()) != 0) return Failed("create", file_);
    kept_ = true;
  }
  std::filesystem::path parent = std::filesystem::path(file_).parent_path();
  if (parent.empty()) parent = ".";
  const int directory = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    fsync(directory);
    close(directory);
  }
  return absl::OkStatus();
}

int PartFile::Buffer::sync() {
  const bool written = file_.Write({pbase(), static_cast<std::size_t>(pptr() - pbase())}).ok();
  setp(bytes_, bytes_ + sizeof(bytes_));
  return written ? 0 : -1;
}

PartFile::Buffer::int_type PartFile::Buffer::overflow(int_type c) {
  if (sync() != 0) return traits_type::eof();
  if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
  return traits_type::not_eof(c);
}

absl::StatusOr<std::unique_ptr<PartFile>> CreateFile(const std::string& file) {
  return PartFile::Create(file, PartFile::Existing::kReplace, 0666);
}

absl::Status WriteFile(const std::string& file, absl::string_view content) {
  const auto part = CreateFile(file);
  if (!part.ok()) return part.status();
  if (absl::Status written = (*part)->Write(content); !written.ok()) return written;
  return (*part)->Keep();
}

}  // namespace joulefarm::cli
