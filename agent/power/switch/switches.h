// The power switches an operator has configured: what each is, and where its ports are.
//
// Threads: see PowerSwitch. Ownership: values; what is opened belongs to the caller.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/host/host_paths.h"
#include "agent/power/switch/command_switch.h"
#include "agent/power/switch/power_switch.h"

namespace joulefarm::agent {

struct SwitchSettings {
  std::string name;
  // "ykush" (by serial; empty: the only one), "hub" and "sysfs" (by place), "command".
  std::string kind;
  std::string serial = {};
  std::string place = {};
  CommandSwitchSettings command = {};

  bool operator==(const SwitchSettings&) const = default;
};

// One port of a switch.
struct SwitchedPort {
  SwitchSettings power_switch;
  int port = 0;

  bool operator==(const SwitchedPort&) const = default;
};

// "hub1:2" among what is configured. INVALID_ARGUMENT says which there are.
absl::StatusOr<SwitchedPort> FindPort(absl::string_view name_and_port,
                                      const std::vector<SwitchSettings>& switches);

// "port:ykush:SERIAL:2"; without a serial number it is one of agent `agent_id`,
// "port:sysfs:AGENT:hub1:2".
std::string PortResourceId(const SwitchedPort& port, absl::string_view agent_id);

// Opens it; errors say what to do. `journal`: see MakeCommandSwitch.
absl::StatusOr<std::unique_ptr<PowerSwitch>> OpenSwitch(const HostPaths& paths,
                                                        const SwitchSettings& settings,
                                                        ProcessJournal* journal = nullptr);

// The places on the bus below which everything loses power with the port, such as "1-1.2", and
// "2-1.2" of its USB 3 half; empty: not known (kind command). Of a YKUSH it is the whole hub: which
// of its ports is which is not known. An error: it has another half, and nobody knows where.
absl::StatusOr<std::vector<std::string>> PlacesOfPort(const HostPaths& paths,
                                                      const SwitchedPort& port);
// Whether a device at `device` is at one of `places` or below it.
bool IsBelow(absl::string_view device, const std::vector<std::string>& places);

}  // namespace joulefarm::agent
