// A port of a USB 3 hub, whose two halves are ports of two hubs: power goes only when both of them
// are off.
//
// Threads: one at a time. Ownership: owns the switch of the port; those of other halves live for a
// call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/power/switch/power_switch.h"

namespace joulefarm::agent {

struct OtherHalf {
  std::unique_ptr<PowerSwitch> power_switch;
  int port = 0;
  std::string title;  // "port 2 of hub 2-1"
};

struct HalfFinder {
  // Of a port; nullopt: it has none, or nobody knows of it.
  std::function<absl::StatusOr<std::optional<OtherHalf>>(int port)> other;
  // Where there is none: why there may be one all the same; empty: there is none.
  std::function<std::string(int port)> unknown;
};

// Set switches both halves, Get is true while either has power. An other half whose hub says that
// it cannot switch single ports (FAILED_PRECONDITION) is left as it is, and Doubt says so.
std::unique_ptr<PowerSwitch> MakeBothHalves(std::unique_ptr<PowerSwitch> half, HalfFinder finder);

}  // namespace joulefarm::agent
