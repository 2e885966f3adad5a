#include "agent/process/proc_stat.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};

}  // namespace

std::optional<std::string> ReadSmallFile(const std::filesystem::path& file) {
  constexpr std::size_t kMost = 1 << 20;
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return std::nullopt;
  std::string text;
  char buffer[4096];
  while (text.size() < kMost) {
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  return text;
}

std::optional<ProcStat> ParseProcStat(absl::string_view line) {
  // The name is in parentheses and may itself contain spaces and parentheses: the last one ends it.
  const std::size_t open_at = line.find('(');
  const std::size_t close_at = line.rfind(')');
  if (open_at == absl::string_view::npos || close_at == absl::string_view::npos ||
      close_at < open_at) {
    return std::nullopt;
  }
  ProcStat stat;
  if (!absl::SimpleAtoi(line.substr(0, open_at), &stat.pid)) return std::nullopt;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(line.substr(close_at + 1), absl::ByAnyChar(" \n"), absl::SkipEmpty());
  // Field numbers of proc(5) count from 1 and the state is number 3.
  const auto field = [&](std::size_t number) { return fields[number - 3]; };
  if (fields.size() < 22 || field(3).size() != 1) return std::nullopt;
  stat.state = field(3)[0];
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  std::uint64_t children_user = 0;
  std::uint64_t children_system = 0;
  const bool parsed =
      absl::SimpleAtoi(field(4), &stat.parent) && absl::SimpleAtoi(field(5), &stat.group) &&
      absl::SimpleAtoi(field(6), &stat.session) && absl::SimpleAtoi(field(14), &user) &&
      absl::SimpleAtoi(field(15), &system) && absl::SimpleAtoi(field(16), &children_user) &&
      absl::SimpleAtoi(field(17), &children_system) &&
      absl::SimpleAtoi(field(22), &stat.start_ticks) &&
      absl::SimpleAtoi(field(24), &stat.rss_pages);
  if (!parsed) return std::nullopt;
  stat.cpu_ticks = user + system;
  stat.children_ticks = children_user + children_system;
  return stat;
}

std::optional<ProcStat> ReadProcStat(const std::filesystem::path& proc, pid_t pid) {
  const std::optional<std::string> text = ReadSmallFile(proc / std::to_string(pid) / "stat");
  return text ? ParseProcStat(*text) : std::nullopt;
}

std::vector<ProcEntry> ListEntries(const std::filesystem::path& proc) {
  std::vector<ProcEntry> entries;
  const std::unique_ptr<DIR, CloseDir> dir(opendir(proc.c_str()));
  if (dir == nullptr) return entries;
  while (const dirent* const entry = readdir(dir.get())) {
    ProcEntry found{0, entry->d_ino};
    if (absl::SimpleAtoi(entry->d_name, &found.pid)) entries.push_back(found);
  }
  return entries;
}

std::vector<ProcStat> ListProcesses(const std::filesystem::path& proc) {
  std::vector<ProcStat> all;
  for (const ProcEntry& entry : ListEntries(proc)) {
    if (std::optional<ProcStat> stat = ReadProcStat(proc, entry.pid)) all.push_back(*stat);
  }
  return all;
}

std::vector<ProcStat> FamilyOf(const std::vector<ProcStat>& all, pid_t leader) {
  std::set<pid_t> family;
  for (const ProcStat& process : all) {
    if (process.pid == leader || process.group == leader || process.session == leader)
      family.insert(process.pid);
  }
  // Children may be listed before their parents: repeat until nothing is added.
  for (bool grew = !family.empty(); grew;) {
    grew = false;
    for (const ProcStat& process : all) {
      if (family.contains(process.parent) && family.insert(process.pid).second) grew = true;
    }
  }
  std::vector<ProcStat> members;
  for (const ProcStat& process : all) {
    if (family.contains(process.pid)) members.push_back(process);
  }
  return members;
}

}  // namespace joulefarm::agent
