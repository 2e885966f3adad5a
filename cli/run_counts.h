// How many runs each device has done of its share, read from the results.
//
// Thread rule: one thread; Refresh blocks. Ownership: the client outlives this.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/view/watch_view.h"

namespace joulefarm::cli {

class RunCounts {
 public:
  // Of the experiment the progress is of, or, where there are any, of these jobs only.
  RunCounts(FarmClient& client, std::vector<std::string> jobs);

  // Looks again, when something may have changed since. A failure keeps what was known.
  void Refresh(const v1::GetProgressResponse& progress, std::chrono::steady_clock::time_point now);

  // The different cells of the jobs; none when they cannot be asked for.
  std::vector<std::string> Cells(const v1::GetProgressResponse& progress);

  const std::vector<DeviceRuns>& runs() const { return runs_; }
  // Runs of all devices.
  int done() const;
  int total() const;
  // How long ago the jobs were submitted, when it was looked at first; by the controller's clock.
  std::optional<std::chrono::nanoseconds> age_at_start() const { return age_; }

 private:
  // The condition for the jobs in question.
  std::string Which(const v1::GetProgressResponse& progress) const;

  FarmClient& client_;
  const std::vector<std::string> jobs_;
  std::vector<DeviceRuns> runs_;
  std::optional<std::chrono::nanoseconds> age_;
  std::string seen_;  // what the progress said at the last look
  std::optional<std::chrono::steady_clock::time_point> looked_;
};

}  // namespace joulefarm::cli
