// Finds and kills every process that a child process started by an agent has left: its process
// group, its descendants, and those that moved to a session of their own (known by a marker in
// their environment).
//
// Threads: any. Ownership: none. Process ids are used only together with their start time, so a
// reused id is safe.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/process/proc_stat.h"

namespace joulefarm::agent {

// Every child carries this variable; its value is ChildMarker of itself and is inherited by what it
// starts.
inline constexpr char kChildMarkerName[] = "JOULEFARM_CHILD";
std::string ChildMarker(pid_t pid, std::uint64_t start_ticks);

// The processes that belong to the child (pid, start_ticks), zombies included: while the leader is
// there its group and descendants, and always whatever carries its marker, with their group and
// descendants. Never the caller itself.
std::vector<ProcStat> MembersOf(const std::filesystem::path& proc, pid_t pid,
                                std::uint64_t start_ticks);

// Adds the living members to `seen` and returns those of `seen` that still live. A member that is
// dying has lost its marker before it is dead, so whoever waits for the end has to go by what was
// seen.
std::vector<ProcStat> LivingMembers(const std::filesystem::path& proc, pid_t pid,
                                    std::uint64_t start_ticks,
                                    std::map<pid_t, std::uint64_t>& seen);

// Sends a signal if the process still is the one that was listed.
void SignalProcess(const ProcStat& process, int signal);

// Kills (SIGKILL) what an earlier agent process left of a child it had journalled, and waits until
// it is gone. OK also when nothing was left. DEADLINE_EXCEEDED: some process did not die within
// five seconds (it hangs in the kernel). Only for entries of the present boot: the caller compares
// boot ids.
absl::Status KillLeftover(pid_t pid, std::uint64_t start_ticks);

}  // namespace joulefarm::agent
