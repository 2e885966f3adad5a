// Something that can cut the power of a port and give it back.
//
// Threads: one at a time. Ownership: a switch owns what it talks through.
#pragma once

#include <string>

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
  //   FAILED_PRECONDITION: it cannot switch this port, and has not.
  virtual absl::Status Set(int port, bool on) = 0;
  // UNIMPLEMENTED: it can be switched and cannot be asked.
  virtual absl::StatusOr<bool> Get(int port) = 0;
  // Why the port may have power though it is switched off; empty: nothing speaks for that.
  virtual std::string Doubt(int /*port*/) { return ""; }
};

}  // namespace joulefarm::agent
