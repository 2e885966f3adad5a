#include "agent/host/page_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "agent/process/unique_fd.h"

namespace joulefarm::agent {

std::optional<double> ResidentShare(const std::filesystem::path& file) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0 || info.st_size == 0) return std::nullopt;
  // For other files the kernel answers "all of it", whatever is the case.
  if (info.st_uid != geteuid() && access(file.c_str(), W_OK) != 0) return std::nullopt;
  const auto size = static_cast<std::size_t>(info.st_size);
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* const map = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (map == MAP_FAILED) return std::nullopt;
  std::vector<unsigned char> pages((size + page - 1) / page);
  const bool asked = mincore(map, size, pages.data()) == 0;
  munmap(map, size);
  if (!asked) return std::nullopt;
  const auto resident =
      std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return (p & 1) != 0; });
  return static_cast<double>(resident) / static_cast<double>(pages.size());
}

std::string LoadState(double resident_share) {
  if (resident_share <= 0.01) return "cold";
  return resident_share >= 0.99 ? "warm" : "mixed";
}

}  // namespace joulefarm::agent
