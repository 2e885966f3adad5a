// What all processors together have done since boot, from /proc/stat.
//
// Threads: pure functions of the file system; the reader has a rule of its own. Ownership: none.
#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "agent/host/host_paths.h"
#include "agent/process/kept_file.h"

namespace joulefarm::agent {

struct CpuTimes {
  // Core-seconds spent working: neither idle, nor waiting for I/O, nor taken away by a hypervisor.
  // Resolution 10 ms.
  double busy_s = 0;
  // Core-seconds in all.
  double total_s = 0;
  // Processors that are online.
  int cores = 0;
};

// nullopt: not the text of /proc/stat.
std::optional<CpuTimes> ParseCpuTimes(absl::string_view text, double ticks_per_s);
std::optional<CpuTimes> ReadCpuTimes(const HostPaths& paths);

// Reads them again and again. Threads: one at a time.
class CpuTimesReader {
 public:
  explicit CpuTimesReader(const HostPaths& paths) : file_(paths.proc() / "stat") {}
  std::optional<CpuTimes> Read();

 private:
  KeptFile file_;
};

// Ticks per second of every tick count in procfs.
double ProcTicksPerSecond();

// Share of all cores that was busy between two readings, 0 to 1; nullopt when no time lies between
// them.
std::optional<double> BusyShare(const CpuTimes& before, const CpuTimes& after);

}  // namespace joulefarm::agent
