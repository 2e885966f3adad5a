#include "agent/spool/fence_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {
namespace {

absl::Status Failed(absl::string_view what, const std::filesystem::path& path) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat("cannot ", what, " ", path.string()));
}

}  // namespace

std::map<std::string, std::int64_t> ReadFenceFile(const std::filesystem::path& path) {
  std::map<std::string, std::int64_t> fences;
  std::ifstream in(path);
  std::string line;
  while (std::getline(in, line)) {
    const std::size_t space = line.find(' ');
    std::int64_t fence = 0;
    if (space == std::string::npos || space + 1 == line.size()) continue;
    if (!absl::SimpleAtoi(line.substr(0, space), &fence) || fence <= 0) continue;
    std::int64_t& mark = fences[line.substr(space + 1)];
    if (fence > mark) mark = fence;
  }
  return fences;
}

absl::Status WriteFenceFile(const std::filesystem::path& path,
                            const std::map<std::string, std::int64_t>& fences) {
  std::string text;
  for (const auto& [device, fence] : fences) absl::StrAppend(&text, fence, " ", device, "\n");
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
  const UniqueFd folder(open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || fsync(folder.get()) != 0) return Failed("sync", path.parent_path());
  return absl::OkStatus();
}

}  // namespace joulefarm::agent
