// What an agent does about its predecessor before it says hello: kills the engines that were left,
// puts back governor and power mode, gives cut ports their power, gives interrupted attempts their
// last word, and clears their folders.
//
// Thread rule: before the agent starts. Ownership: none.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/core/session.h"
#include "agent/run/environment.h"
#include "agent/run/port_cut.h"
#include "agent/spool/spool.h"

namespace joulefarm::agent {

struct Recovered {
  std::vector<KeptAttempt> kept;
  // False: some process of the predecessor could not be killed, or something it had set could not
  // be put back.
  bool clean = true;
  // For the log.
  std::vector<std::string> notes;
};

absl::StatusOr<Recovered> Recover(Spool& spool, const std::filesystem::path& run_dir,
                                  Environment& environment, PortCut& port);

}  // namespace joulefarm::agent
