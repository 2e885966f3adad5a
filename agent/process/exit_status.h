// How a process ended, with the signal kept apart from the exit code.
//
// Threads: a value. Ownership: none.
#pragma once

#include <optional>
#include <string>

namespace joulefarm::agent {

struct ExitStatus {
  // Exactly one of the two is present.
  std::optional<int> code;
  std::optional<int> signal;
  // It was this agent that ended the process.
  bool by_agent = false;

  bool success() const { return code == 0; }
  // "exit code 3", "killed by signal 11 (SIGSEGV)".
  std::string ToString() const;
};

// From a status of waitpid(2).
ExitStatus DecodeWaitStatus(int wait_status);

}  // namespace joulefarm::agent
