// A file that appears under its name only when it is complete: written as FILE.part, renamed at the
// end. Until then, and when it fails, an earlier FILE stays as it is.
//
// Thread rule: one thread. Ownership: owns the unfinished file and removes it unless it was kept.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm::cli {

class PartFile {
 public:
  // What is there under the name: may it be replaced?
  enum class Existing { kReplace, kKeep };

  // `mode` is that of a new file, less the process's umask. What is no regular file (a terminal, a
  // pipe, /dev/null) is written to as it is; a symbolic link is followed. INVALID_ARGUMENT when
  // the file cannot be made there, ALREADY_EXISTS when it is to be kept.
  static absl::StatusOr<std::unique_ptr<PartFile>> Create(const std::string& file,
                                                          Existing existing, mode_t mode);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  // Where the bytes go until Keep.
  const std::string& path() const { return path_; }
  // Bytes written, without what the stream still holds.
  std::int64_t size() const { return size_; }
  // Writes through Write; bad after a failure, which Keep returns.
  std::ostream& stream() { return stream_; }

  absl::Status Write(absl::string_view piece);
  // What was written, onto the disk.
  absl::Status Sync();
  // Under its name from now on. The first failure of a write; ALREADY_EXISTS when something has
  // appeared under a name that is not to be replaced.
  absl::Status Keep();

 private:
  // Hands what the stream collects to Write.
  class Buffer : public std::streambuf {
   public:
    explicit Buffer(PartFile& file) : file_(file) { setp(bytes_, bytes_ + sizeof(bytes_)); }
    int sync() override;

   protected:
    int_type overflow(int_type c) override;

   private:
    PartFile& file_;
    char bytes_[16 * 1024];
  };

  PartFile(std::string file, std::string path, int fd, Existing existing);

  const std::string file_;
  const std::string path_;  // file_ itself when that is no regular file
  const Existing existing_;
  int fd_;
  std::int64_t size_ = 0;
  absl::Status failed_;
  bool kept_;  // path_ is gone or somebody else's
  Buffer buffer_{*this};
  std::ostream stream_{&buffer_};
};

// A file that replaces what is there, as everybody may read it.
absl::StatusOr<std::unique_ptr<PartFile>> CreateFile(const std::string& file);
// The same with all its content at once.
absl::Status WriteFile(const std::string& file, absl::string_view content);

}  // namespace joulefarm::cli
