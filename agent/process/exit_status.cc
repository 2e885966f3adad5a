#include "agent/process/exit_status.h"

#include <string.h>
#include <sys/wait.h>

#include "absl/strings/str_cat.h"

namespace joulefarm::agent {

std::string ExitStatus::ToString() const {
  if (code) return absl::StrCat("exit code ", *code);
  if (!signal) return "unknown exit status";
  const char* name = sigabbrev_np(*signal);
  return absl::StrCat("killed by signal ", *signal,
                      name != nullptr ? absl::StrCat(" (SIG", name, ")") : "");
}

ExitStatus DecodeWaitStatus(int wait_status) {
  ExitStatus status;
  if (WIFEXITED(wait_status)) {
    status.code = WEXITSTATUS(wait_status);
  } else if (WIFSIGNALED(wait_status)) {
    status.signal = WTERMSIG(wait_status);
  }
  return status;
}

}  // namespace joulefarm::agent
