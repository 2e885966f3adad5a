// Ports of USB hubs through the kernel's attribute `disable` (Linux 6.0 and later).
//
// Threads: one at a time. Ownership: values.
// Source: Documentation/ABI/testing/sysfs-bus-usb of the kernel, `<hub>-port<N>/disable` and
// `peer`.
#pragma once

#include <memory>
#include <string>

#include "agent/host/host_paths.h"
#include "agent/power/switch/power_switch.h"

namespace joulefarm::agent {

// `hub` is its place on the bus: "1-1", or "usb1" for a root hub. A port of a USB 3 hub is switched
// in both of the trees it appears in. NOT_FOUND where the kernel has no such hub; errors say what
// to do.
absl::StatusOr<std::unique_ptr<PowerSwitch>> MakeSysfsSwitch(const HostPaths& paths,
                                                             const std::string& hub);

}  // namespace joulefarm::agent
