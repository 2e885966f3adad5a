// The workload "command": a program of the operator's, run once per warm-up and repetition.
//
// Threads: Run blocks on the attempt's thread. Ownership: none beyond Run.
#pragma once

#include <string>
#include <vector>

#include "agent/workload/workload.h"

namespace joulefarm::agent {

class CommandWorkload : public Workload {
 public:
  WorkloadOutcome Run(WorkloadContext& context) override;
};

// The spec's argv with {model.path} filled in; without a model, and for all other braces, as it is.
std::vector<std::string> CommandArgv(const v1::CommandSpec& spec,
                                     const std::optional<std::filesystem::path>& model);

}  // namespace joulefarm::agent
