#include "agent/host/process_tree.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/host/cpu_times.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

std::optional<std::int64_t> PeakResident(const HostPaths& paths, pid_t pid) {
  const std::optional<std::string> text =
      ReadSmallFile(paths.proc() / std::to_string(pid) / "status");
  if (!text) return std::nullopt;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    std::int64_t kib = 0;
    if (absl::ConsumePrefix(&line, "VmHWM:") && absl::ConsumeSuffix(&line, " kB") &&
        absl::SimpleAtoi(line, &kib)) {
      return kib * 1024;
    }
  }
  return std::nullopt;
}

}  // namespace

ProcessTree::ProcessTree(HostPaths paths, pid_t leader, std::int64_t scan_period_ns)
    : paths_(std::move(paths)), leader_(leader), scan_period_ns_(scan_period_ns) {}

std::vector<ProcStat> ProcessTree::Members() {
  const std::int64_t now_ns = BoottimeNs();
  if (!last_scan_ns_ || last_ticks_.empty() || now_ns - *last_scan_ns_ >= scan_period_ns_) {
    last_scan_ns_ = now_ns;
    return FamilyOf(ListProcesses(paths_.proc()), leader_);
  }
  std::vector<ProcStat> members;
  for (const auto& [identity, ticks] : last_ticks_) {
    const std::optional<ProcStat> stat = ReadProcStat(paths_.proc(), identity.first);
    if (stat && stat->start_ticks == identity.second) members.push_back(*stat);
  }
  return members;
}

std::optional<ProcessTree::Sample> ProcessTree::Read() {
  std::map<Identity, std::uint64_t> ticks;
  std::uint64_t own = 0;
  std::uint64_t with_children = 0;
  Sample sample;
  for (const ProcStat& member : Members()) {
    if (!member.alive()) continue;
    ++sample.processes;
    ticks[{member.pid, member.start_ticks}] = member.cpu_ticks;
    own += member.cpu_ticks;
    with_children += member.cpu_ticks + member.children_ticks;
    sample.rss_bytes += member.rss_pages * sysconf(_SC_PAGESIZE);
  }
  for (const auto& [identity, last] : last_ticks_) {
    if (!ticks.contains(identity)) ended_ticks_ += last;
  }
  last_ticks_ = std::move(ticks);
  if (sample.processes == 0) return std::nullopt;
  // Two lower bounds of the same sum, neither of which counts anything twice.
  const auto most = static_cast<double>(std::max(own + ended_ticks_, with_children));
  cpu_s_ = std::max(cpu_s_, most / ProcTicksPerSecond());
  sample.cpu_s = cpu_s_;
  sample.leader_peak_bytes = PeakResident(paths_, leader_);
  return sample;
}

}  // namespace joulefarm::agent
