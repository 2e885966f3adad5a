// Waiting for an experiment's end, with progress shown, and what is told afterwards.
//
// Thread rule: one thread, blocks. Ownership: nothing kept.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/session.h"

namespace joulefarm::cli {

// Between two questions to the controller.
inline constexpr std::chrono::milliseconds kPoll{500};

// Whether the time watched is the time the experiment took.
enum class Watched { kFromSubmission, kFromLater };

struct WaitOptions {
  std::string experiment;         // id
  std::vector<std::string> jobs;  // only these, of whatever experiment; empty: all of it
  // Also asks the devices what they are doing, and shows it.
  bool watch = false;
  std::optional<std::chrono::nanoseconds> timeout;  // absent: for ever
  std::string scope;                    // "3 cells × 1 device × 1 block, 12 runs"; may be empty
  std::vector<std::string> cell_order;  // how the summary is sorted; may be empty
  Watched watched = Watched::kFromLater;
};

// Why the wait is over.
enum class WaitEnd { kDone, kTimeout, kInterrupted };

struct WaitResult {
  WaitEnd end = WaitEnd::kDone;
  v1::GetProgressResponse progress;  // as last seen
  std::chrono::nanoseconds elapsed{0};
};

// Polls until every job ended, twice a second. A controller that cannot be reached is told once and
// tried again; any other error ends the wait with its status. Progress goes to the console's err.
absl::StatusOr<WaitResult> WaitForExperiment(Session& session, FarmClient& client,
                                             const WaitOptions& options);

// Waits for jobs, prints what became of each; returns the exit code.
int WaitForJobsAndReport(Session& session, FarmClient& client, const WaitOptions& options);

// Waits, prints the outcome, the summary table and the jobs that did not succeed; returns the exit
// code.
int WaitAndReport(Session& session, FarmClient& client, const WaitOptions& options);

// The message and exit code of a wait that did not see the end.
int ReportUnfinished(Session& session, const WaitOptions& options, const WaitResult& result);

// 0 when every job succeeded, else 1.
int ExitCodeOfProgress(const v1::GetProgressResponse& progress);

}  // namespace joulefarm::cli
