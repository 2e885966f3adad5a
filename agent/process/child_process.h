// One child process with everything it starts: journalled before it runs, watched, and gone when
// this object is.
//
// Threads: Start and everything else on one thread, which must live at least as long as the child
// (the kernel kills the child when the thread that forked it ends, see prctl(2) PR_SET_PDEATHSIG);
// OutputTail from any thread; `on_line` is called on a thread of the object's own. Ownership: owns
// the child; the journal outlives it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/process/exit_status.h"
#include "agent/process/output_reader.h"
#include "agent/process/process_journal.h"
#include "agent/process/stop_fd.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {

struct ProcessOptions {
  // argv[0] is looked up in PATH when it has no slash. No shell.
  std::vector<std::string> argv;
  // Changes to the agent's environment: a value, or nullopt to remove. A name ending in '*' removes
  // by prefix.
  std::vector<std::pair<std::string, std::optional<std::string>>> environment;
  std::filesystem::path work_dir;  // empty: the agent's
  std::function<void(const OutputLine&)> on_line;
};

class ChildProcess {
 public:
  // NOT_FOUND or PERMISSION_DENIED when the program cannot be executed; the journal's error when it
  // refuses.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(ProcessOptions options,
                                                             ProcessJournal* journal);
  // Terminates without grace.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  std::uint64_t start_ticks() const { return start_ticks_; }
  // Readable when the leader has ended.
  int exit_fd() const { return pidfd_.get(); }

  // kReady: the leader has ended and exit_status() is known.
  Wake Wait(const StopFd& stop, std::optional<std::int64_t> deadline_ns);
  // Of the leader; nullopt while it runs. Does not wait.
  std::optional<ExitStatus> exit_status();

  // Ends the whole family: SIGTERM, after `grace_ns` SIGKILL, and waits until none is left (at most
  // five seconds more; then they hang in the kernel and all_gone() says false). Reads the output to
  // its end. Repeated calls do nothing.
  void Terminate(std::int64_t grace_ns);
  bool all_gone() const { return all_gone_; }

  // The last bytes printed, stdout and stderr together.
  std::string OutputTail() const { return reader_->Tail(); }

 private:
  ChildProcess(pid_t pid, std::uint64_t start_ticks, UniqueFd pidfd,
               std::unique_ptr<OutputReader> reader, ProcessJournal* journal);
  // Signals the living members; false when there is none.
  bool SignalFamily(int signal);
  void Reap();

  const pid_t pid_;
  const std::uint64_t start_ticks_;
  std::map<pid_t, std::uint64_t>
      seen_;  // members with their start times, for reaping those that became ours
  UniqueFd pidfd_;
  std::unique_ptr<OutputReader> reader_;
  ProcessJournal* journal_;
  std::optional<ExitStatus> status_;
  bool signalled_ = false;
  bool terminated_ = false;
  bool all_gone_ = false;
};

// Makes this process the parent of what its children leave orphaned, so that it is found and reaped
// also where no init does it. Once, early in main.
void AdoptOrphans();

}  // namespace joulefarm::agent
