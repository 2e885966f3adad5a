// Something that can cut the power of a port and give it back.
//
// Threads: one at a time. Ownership: a switch owns what it talks through.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace joulefarm::agent {

class PowerSwitch {
 public:
  virtual ~PowerSwitch() = default;
  // OK: the switch has said that it is so. Whether power really fell only a meter can tell.
  //   UNAVAILABLE: the switch is gone, or nobody knows what state the port is in; Get tells.
  //   INVALID_ARGUMENT: there is no such port.
  //   INTERNAL: it acknowledged and did not do it.
  virtual absl::Status Set(int port, bool on) = 0;
  virtual absl::StatusOr<bool> Get(int port) = 0;
};

}  // namespace joulefarm::agent
