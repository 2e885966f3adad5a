#include "agent/process/kept_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace joulefarm::agent {
namespace {

constexpr std::size_t kFirstRoom = 4096;
constexpr std::size_t kMost = 1 << 20;

}  // namespace

bool KeptFile::Open() {
  file_ = UniqueFd(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file_.valid()) return false;
  struct statfs of {};
  kept_ = fstatfs(file_.get(), &of) == 0 && of.f_type == PROC_SUPER_MAGIC;
  return true;
}

std::optional<absl::string_view> KeptFile::Read() {
  if (!kept_) file_.Reset();
  if (!file_.valid() && !Open()) return std::nullopt;
  if (text_.empty()) text_.resize(kFirstRoom);
  std::size_t size = 0;
  while (size < kMost) {
    const std::size_t room = text_.size() - size;
    const ssize_t n = pread(file_.get(), text_.data() + size, room, static_cast<off_t>(size));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      file_.Reset();
      return std::nullopt;
    }
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
    if (size == text_.size()) text_.resize(2 * size);
  }
  return absl::string_view(text_.data(), size);
}

}  // namespace joulefarm::agent
