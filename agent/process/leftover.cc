#include "agent/process/leftover.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "agent/process/boottime.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {
namespace {

constexpr char kProc[] = "/proc";

bool CarriesMarker(const std::filesystem::path& proc, pid_t pid, const std::string& entry) {
  const std::optional<std::string> environment =
      ReadSmallFile(proc / std::to_string(pid) / "environ");
  if (!environment) return false;
  for (absl::string_view variable : absl::StrSplit(*environment, '\0')) {
    if (variable == entry) return true;
  }
  return false;
}

}  // namespace

std::string ChildMarker(pid_t pid, std::uint64_t start_ticks) {
  return absl::StrCat(pid, ".", start_ticks);
}

std::vector<ProcStat> MembersOf(const std::filesystem::path& proc, pid_t pid,
                                std::uint64_t start_ticks) {
  const std::vector<ProcStat> all = ListProcesses(proc);
  const std::string entry = absl::StrCat(kChildMarkerName, "=", ChildMarker(pid, start_ticks));
  std::set<pid_t> members;
  bool group_is_ours = false;
  for (const ProcStat& process : all) {
    if (process.start_ticks < start_ticks) continue;
    const bool leader = process.pid == pid && process.start_ticks == start_ticks;
    if (!leader && !CarriesMarker(proc, process.pid, entry)) continue;
    members.insert(process.pid);
    // A group's number is not given out again while it has a member.
    if (leader || process.group == pid) group_is_ours = true;
  }
  for (const ProcStat& process : all) {
    if (group_is_ours && process.group == pid) members.insert(process.pid);
  }
  for (bool grew = !members.empty(); grew;) {
    grew = false;
    for (const ProcStat& process : all) {
      if (members.contains(process.parent) && members.insert(process.pid).second) grew = true;
    }
  }
  members.erase(getpid());
  std::vector<ProcStat> result;
  std::copy_if(all.begin(), all.end(), std::back_inserter(result),
               [&](const ProcStat& process) { return members.contains(process.pid); });
  return result;
}

std::vector<ProcStat> LivingMembers(const std::filesystem::path& proc, pid_t pid,
                                    std::uint64_t start_ticks,
                                    std::map<pid_t, std::uint64_t>& seen) {
  for (const ProcStat& member : MembersOf(proc, pid, start_ticks)) {
    if (member.alive()) seen.insert_or_assign(member.pid, member.start_ticks);
  }
  std::vector<ProcStat> living;
  for (const auto& [member, member_ticks] : seen) {
    const std::optional<ProcStat> stat = ReadProcStat(proc, member);
    if (stat && stat->start_ticks == member_ticks && stat->alive()) living.push_back(*stat);
  }
  return living;
}

void SignalProcess(const ProcStat& process, int signal) {
  // The descriptor holds on to the process, so that the check and the signal speak of the same one.
  const UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
  if (!fd.valid()) return;
  const std::optional<ProcStat> now = ReadProcStat(kProc, process.pid);
  if (!now || now->start_ticks != process.start_ticks) return;
  syscall(SYS_pidfd_send_signal, fd.get(), signal, nullptr, 0);
}

absl::Status KillLeftover(pid_t pid, std::uint64_t start_ticks) {
  const std::int64_t deadline_ns = BoottimeNs() + 5'000'000'000;
  std::map<pid_t, std::uint64_t> seen;
  while (true) {
    std::vector<std::string> alive;
    for (const ProcStat& process : LivingMembers(kProc, pid, start_ticks, seen)) {
      alive.push_back(absl::StrCat(process.pid, " (state ", std::string(1, process.state), ")"));
      SignalProcess(process, SIGKILL);
    }
    if (alive.empty()) return absl::OkStatus();
    if (BoottimeNs() >= deadline_ns) {
      return absl::DeadlineExceededError(absl::StrCat(
          "processes left by an earlier agent did not die on SIGKILL: ", absl::StrJoin(alive, ", "),
          "; look at them with ps, a restart may be needed"));
    }
    usleep(2000);
  }
}

}  // namespace joulefarm::agent
