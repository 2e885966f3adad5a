// Reads /proc/PID/stat: who a process is, whose child, in which group, and what it has used.
//
// Threads: pure functions of the file system. Ownership: results own their data. The path of procfs
// is a parameter.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace joulefarm::agent {

struct ProcStat {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  char state = '?';                  // 'Z' zombie, 'X' dead
  std::uint64_t cpu_ticks = 0;       // user + system
  std::uint64_t children_ticks = 0;  // user + system of children it has waited for
  std::uint64_t start_ticks = 0;     // since boot; with the pid a process's identity
  std::int64_t rss_pages = 0;

  bool alive() const { return state != 'Z' && state != 'X'; }
};

// Fields of one stat line; nullopt when it is not one.
std::optional<ProcStat> ParseProcStat(absl::string_view line);

// nullopt: no such process (or it went away meanwhile).
std::optional<ProcStat> ReadProcStat(const std::filesystem::path& proc, pid_t pid);

// An entry of procfs. Its inode differs where a number has been given to another process.
struct ProcEntry {
  pid_t pid = 0;
  ino_t inode = 0;

  auto operator<=>(const ProcEntry&) const = default;
};

// Those of every process to be seen, in no order. Reads nothing of the processes.
std::vector<ProcEntry> ListEntries(const std::filesystem::path& proc);

// Every process to be seen, in no order.
std::vector<ProcStat> ListProcesses(const std::filesystem::path& proc);

// `leader` itself, the members of its process group and session, and all their descendants, zombies
// included.
std::vector<ProcStat> FamilyOf(const std::vector<ProcStat>& all, pid_t leader);

// A whole file of procfs or sysfs, at most 1 MiB; nullopt when it cannot be read.
std::optional<std::string> ReadSmallFile(const std::filesystem::path& file);

}  // namespace joulefarm::agent
