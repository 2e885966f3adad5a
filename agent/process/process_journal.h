// The port through which started processes are remembered beyond the agent's own life.
//
// Threads: called on the thread that starts or ends the process. Ownership: none.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "absl/status/status.h"

namespace joulefarm::agent {

// Remembers child processes durably so that the next agent process can kill what a crash left
// behind.
class ProcessJournal {
 public:
  virtual ~ProcessJournal() = default;
  // Called right after the child exists and before it may do anything of its own; `start_ticks` is
  // field 22 of /proc/PID/stat. An error refuses the start.
  virtual absl::Status Started(pid_t pid, std::uint64_t start_ticks) = 0;
  // The whole process group is gone.
  virtual void Ended(pid_t pid) = 0;
};

}  // namespace joulefarm::agent
