// fork and exec with a stop in between, at which the parent makes the child known before it may
// run.
//
// Threads: call from a thread that lives at least as long as the child: the child asks the kernel
// for SIGKILL when the *thread* that forked it ends. Ownership: the caller reaps the child.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/process/process_journal.h"

namespace joulefarm::agent {

struct SpawnRequest {
  std::filesystem::path program;
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // "NAME=value", complete
  std::filesystem::path work_dir;        // empty: the agent's
  int stdout_fd = -1;
  int stderr_fd = -1;
};

struct Spawned {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;
};

// Starts `program` as the leader of a new process group with /dev/null as its input, no other
// descriptors, default signal handling and its marker in the environment. `journal` may be null. On
// an error nothing is left. NOT_FOUND: the program or its interpreter does not exist;
// PERMISSION_DENIED: it may not be executed.
absl::StatusOr<Spawned> Spawn(const SpawnRequest& request, ProcessJournal* journal);

// Where `name` is: itself when it contains a slash, otherwise the first executable in `path` (as
// $PATH). NOT_FOUND says where it was looked for.
absl::StatusOr<std::filesystem::path> FindProgram(absl::string_view name, absl::string_view path);

// The same in `directories`, which an error calls `looked_in`.
absl::StatusOr<std::filesystem::path> FindProgram(
    absl::string_view name, const std::vector<std::filesystem::path>& directories,
    absl::string_view looked_in);

}  // namespace joulefarm::agent
