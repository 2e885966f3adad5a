// A relay, a smart plug or anything else that the operator's own programs switch.
//
// Threads: one at a time. Ownership: the journal outlives the switch.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/power/switch/power_switch.h"
#include "agent/process/process_journal.h"

namespace joulefarm::agent {

// Each an argv, "{port}" filled in; no shell. Exit code 0 is success.
struct CommandSwitchSettings {
  std::vector<std::string> on = {};
  std::vector<std::string> off = {};
  // Prints "on" or "off" on a line of its own; empty: nobody knows but the meter.
  std::vector<std::string> status = {};

  bool operator==(const CommandSwitchSettings&) const = default;
};

// INVALID_ARGUMENT where on or off is missing. Without a status Get answers what was set last, and
// UNIMPLEMENTED before that. `journal`, which may be null, remembers the program that cuts:
// one that outlives a crash would cut again what the next agent process has given back.
absl::StatusOr<std::unique_ptr<PowerSwitch>> MakeCommandSwitch(CommandSwitchSettings settings,
                                                               ProcessJournal* journal = nullptr);

}  // namespace joulefarm::agent
