// The segments from which the observer effect is judged: an engine that answers the same request
// again and again, while the agent beside it samples, or is stopped.
//
// Threads: blocks. Ownership: the agent and the engine are somebody else's processes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "deploy/benchmarks/observer_effect.h"

namespace joulefarm::bench {

struct ObserverSetting {
  std::uint16_t port = 0;  // of a llama-server on this host
  pid_t agent = 0;         // that samples an attempt all the time
  int blocks = 0;
  std::int64_t segment_ns = 100'000'000;
};

struct ObserverTrace {
  std::vector<ObserverBlock> blocks;
  int tokens = 0;          // of each segment
  double sampled_s = 0;    // of all segments with sampling, requests and all
  double agent_cpu_s = 0;  // that the agent took in them
};

// Without sampling (A) the agent is stopped (SIGSTOP), with it (B) it goes on (SIGCONT) and makes
// up for what a meter has gathered meanwhile. It goes on when this returns, however it does.
// UNAVAILABLE: the engine does not answer as llama-server does. FAILED_PRECONDITION: the agent did
// nothing in the segments that it was to sample. Else: there is no such agent.
absl::StatusOr<ObserverTrace> RunObserver(const ObserverSetting& setting);

}  // namespace joulefarm::bench
