// CPU time and memory of an engine and everything it started.
//
// Threads: one. Ownership: keeps the files of the processes it reads open.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "agent/host/host_paths.h"
#include "agent/process/kept_file.h"
#include "agent/process/proc_stat.h"

namespace joulefarm::agent {

class ProcessTree {
 public:
  struct Sample {
    // Cumulative user and system time, s; never falls. What processes used that began and ended
    // between two samples is contained only if their parent waited for them and still runs.
    double cpu_s = 0;
    // Resident bytes now, summed over the processes (memory they share counts more than once).
    std::int64_t rss_bytes = 0;
    // Greatest resident set the leader ever had (VmHWM); absent where the kernel does not say.
    std::optional<std::int64_t> leader_peak_bytes;
    int processes = 0;
  };

  // The family of `leader`: its process group, its session and all their descendants. The processes
  // of the host are looked through once in `scan_period_ns`, and of those known to be others only
  // the entries, because reading all costs milliseconds; in between the known members are read.
  ProcessTree(HostPaths paths, pid_t leader, std::int64_t scan_period_ns = 1'000'000'000);

  // nullopt when none of the family lives.
  std::optional<Sample> Read();

 private:
  using Identity = std::pair<pid_t, std::uint64_t>;

  std::vector<ProcStat> Members();
  std::vector<ProcStat> Scan(std::int64_t now_ns);
  std::optional<ProcStat> ReadMember(const Identity& identity);

  const HostPaths paths_;
  const pid_t leader_;
  const std::int64_t scan_period_ns_;
  std::optional<std::int64_t> last_scan_ns_;
  std::optional<std::int64_t> last_full_scan_ns_;
  std::map<ProcEntry, int> strangers_;  // in how many scans
  std::map<Identity, KeptFile> files_;  // of members
  KeptFile leader_status_;
  std::map<Identity, std::uint64_t> last_ticks_;
  std::uint64_t ended_ticks_ = 0;
  double cpu_s_ = 0;
};

}  // namespace joulefarm::agent
