// One completion streamed by llama-server.
//
// Threads: pure of state; each call blocks its caller. Ownership: results own their data.
#pragma once

#include "absl/strings/string_view.h"
#include "agent/process/stop_fd.h"
#include "agent/workload/completion.h"
#include "agent/workload/tcp.h"

namespace joulefarm::agent {

// POST /completion with `body` on a connection of its own.
CompletionResult StreamCompletion(const Endpoint& endpoint, absl::string_view body,
                                  const CompletionLimits& limits, const StopFd& stop);

}  // namespace joulefarm::agent
