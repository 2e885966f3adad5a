// Why jobs wait, for those who watch while nothing is being worked on.
//
// Thread rule: one thread; Refresh blocks. Ownership: the client outlives this.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/client.h"

namespace joulefarm::cli {

class WaitReason {
 public:
  // Of the experiment the progress is of, or, where there are any, of these jobs only.
  WaitReason(FarmClient& client, std::vector<std::string> jobs);

  // Looks again every few seconds. A failure keeps what was known.
  void Refresh(const v1::GetProgressResponse& progress, std::chrono::steady_clock::time_point now);

  // "job-3 waits: device edge is offline: its agent edge is out of reach" of one of the queued
  // jobs; empty: none is queued, one is worked on, or nothing keeps them.
  const std::string& line() const { return line_; }

 private:
  // The line of the first row that has a reason; false: none has.
  bool Take(const v1::ListRequest& request);

  FarmClient& client_;
  const std::vector<std::string> jobs_;
  std::string line_;
  std::optional<std::chrono::steady_clock::time_point> looked_;
};

}  // namespace joulefarm::cli
