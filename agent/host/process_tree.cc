#include "agent/host/process_tree.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "agent/host/cpu_times.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

// Nobody joins the family from outside, so a stranger stays one. What was seen while it was being
// started, or its parent was ending, may have been mistaken: hence twice, and everything anew now
// and then.
constexpr int kStrangerScans = 2;
constexpr std::int64_t kFullScanNs = 30'000'000'000;
// A family of thousands must not use up the agent's descriptors.
constexpr std::size_t kMostFiles = 64;

std::optional<std::int64_t> PeakResident(KeptFile& status) {
  constexpr absl::string_view kName = "\nVmHWM:";
  const std::optional<absl::string_view> text = status.Read();
  const std::size_t at = text ? text->find(kName) : absl::string_view::npos;
  if (at == absl::string_view::npos) return std::nullopt;
  absl::string_view value = text->substr(at + kName.size());
  value = value.substr(0, value.find('\n'));
  std::int64_t kib = 0;
  if (!absl::ConsumeSuffix(&value, " kB") || !absl::SimpleAtoi(value, &kib)) return std::nullopt;
  return kib * 1024;
}

std::filesystem::path FileOf(const HostPaths& paths, pid_t pid, const char* name) {
  return paths.proc() / std::to_string(pid) / name;
}

}  // namespace

ProcessTree::ProcessTree(HostPaths paths, pid_t leader, std::int64_t scan_period_ns)
    : paths_(std::move(paths)),
      leader_(leader),
      scan_period_ns_(scan_period_ns),
      leader_status_(FileOf(paths_, leader, "status")) {}

std::vector<ProcStat> ProcessTree::Scan(std::int64_t now_ns) {
  // Elsewhere an inode does not tell two processes apart.
  if (!paths_.live() || !last_full_scan_ns_ || now_ns - *last_full_scan_ns_ >= kFullScanNs) {
    last_full_scan_ns_ = now_ns;
    strangers_.clear();
  }
  std::map<ProcEntry, int> strangers;
  std::vector<ProcEntry> entries;
  std::vector<ProcStat> looked_at;
  for (const ProcEntry& entry : ListEntries(paths_.proc())) {
    const auto known = strangers_.find(entry);
    if (known != strangers_.end() && known->second >= kStrangerScans) {
      strangers.insert(strangers.end(), *known);
    } else if (const std::optional<ProcStat> stat = ReadProcStat(paths_.proc(), entry.pid)) {
      entries.push_back(entry);
      looked_at.push_back(*stat);
    }
  }
  std::vector<ProcStat> family = FamilyOf(looked_at, leader_);
  // In the same order, so one walk tells who is left over.
  auto member = family.begin();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (member != family.end() && member->pid == looked_at[i].pid) {
      ++member;
    } else {
      const auto before = strangers_.find(entries[i]);
      strangers[entries[i]] = before == strangers_.end() ? 1 : before->second + 1;
    }
  }
  strangers_ = std::move(strangers);
  return family;
}

std::optional<ProcStat> ProcessTree::ReadMember(const Identity& identity) {
  auto file = files_.find(identity);
  if (file == files_.end()) {
    if (files_.size() >= kMostFiles) return ReadProcStat(paths_.proc(), identity.first);
    file = files_.emplace(identity, KeptFile(FileOf(paths_, identity.first, "stat"))).first;
  }
  const std::optional<absl::string_view> text = file->second.Read();
  return text ? ParseProcStat(*text) : std::nullopt;
}

std::vector<ProcStat> ProcessTree::Members() {
  const std::int64_t now_ns = BoottimeNs();
  if (!last_scan_ns_ || last_ticks_.empty() || now_ns - *last_scan_ns_ >= scan_period_ns_) {
    last_scan_ns_ = now_ns;
    return Scan(now_ns);
  }
  std::vector<ProcStat> members;
  for (const auto& [identity, ticks] : last_ticks_) {
    const std::optional<ProcStat> stat = ReadMember(identity);
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
  std::erase_if(files_, [&](const auto& file) { return !last_ticks_.contains(file.first); });
  if (sample.processes == 0) return std::nullopt;
  // Two lower bounds of the same sum, neither of which counts anything twice.
  const auto most = static_cast<double>(std::max(own + ended_ticks_, with_children));
  cpu_s_ = std::max(cpu_s_, most / ProcTicksPerSecond());
  sample.cpu_s = cpu_s_;
  sample.leader_peak_bytes = PeakResident(leader_status_);
  return sample;
}

}  // namespace joulefarm::agent
