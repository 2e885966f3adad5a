#include "agent/spool/fence_file.h"

#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "agent/spool/durable_file.h"

namespace joulefarm::agent {

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
  return WriteDurably(path, text);
}

}  // namespace joulefarm::agent
