// What a stopped attempt ended as.
//
// Thread rule: pure. Ownership: none.
#pragma once

#include <string>

#include "agent/core/session_types.h"
#include "agent/workload/workload.h"

namespace joulefarm::agent {

// The outcome that follows from who stopped it. kAborted gives CANCELED; nothing of it is uploaded.
WorkloadOutcome OutcomeOfStop(const StopAttempt& stop);

// The attempt's outcome: what the workload says, unless it was stopped before it succeeded.
WorkloadOutcome Resolve(const WorkloadOutcome& said, const StopAttempt* stop);

}  // namespace joulefarm::agent
