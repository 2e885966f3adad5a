// Something that carries out a grant on a thread of its own, and what it tells of it.
//
// Thread rule: Stop from any thread; the callbacks come on the runner's threads and must not block.
// Ownership: the destructor stops and waits.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "agent/core/session_types.h"

namespace joulefarm::agent {

struct RunCallbacks {
  std::function<void(Fence, v1::AttemptState, const std::string& detail)> moved;
  // Nothing of the attempt runs any more; its Final is not written yet.
  std::function<void(Fence, bool clean)> ended;
  // The last call. Whether its Final is durable (or nobody wants it).
  std::function<void(Fence, absl::Status stored)> stored;
};

class Runner {
 public:
  virtual ~Runner() = default;
  // The first reason given counts.
  virtual void Stop(StopAttempt stop) = 0;
};

}  // namespace joulefarm::agent
