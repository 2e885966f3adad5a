// Lists of processors, such as "0-3,6", and keeping engines on them.
//
// Threads: pure functions; CorePinning as its ProcessJournal says. Ownership: the inner journal
// outlives CorePinning.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/process/process_journal.h"

namespace joulefarm::agent {

// Sorted, each once. INVALID_ARGUMENT for anything else than numbers and ranges joined by commas.
absl::StatusOr<std::vector<int>> ParseCoreList(absl::string_view text);
std::string CoreListText(const std::vector<int>& cores);

// FAILED_PRECONDITION where this process may not use one of them.
absl::Status CheckCores(const std::vector<int>& cores);

// Pins every child before it may do anything; what it starts inherits that. The agent itself, which
// would compete with the engine there, stays where it is.
class CorePinning : public ProcessJournal {
 public:
  CorePinning(std::vector<int> cores, ProcessJournal* inner);

  absl::Status Started(pid_t pid, std::uint64_t start_ticks) override;
  void Ended(pid_t pid) override;

 private:
  const std::vector<int> cores_;
  ProcessJournal* const inner_;
};

}  // namespace joulefarm::agent
