// A port of a USB hub, as the kernel shows it. A USB 3 hub is two hubs on two buses, and each of
// its ports two halves that share their power: the kernel calls one the other's `peer`.
//
// Threads: any. Ownership: values.
// Source: Documentation/ABI/testing/sysfs-bus-usb of the kernel, `<hub>-port<N>/peer`.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/host/host_paths.h"

namespace joulefarm::agent {

struct HubPort {
  std::string hub;  // its place on the bus: "1-1", or "usb1" for a root hub
  int port = 0;

  bool operator==(const HubPort&) const = default;
};

// "port 2 of hub 1-1".
std::string TitleOf(const HubPort& port);
// Where a device on it is: "1-1.2", or "1-2" on a root hub.
std::string PlaceOf(const HubPort& port);
// In sysfs.
std::filesystem::path FolderOf(const HostPaths& paths, const HubPort& port);

// Its other half; nullopt: the kernel names none. DATA_LOSS: it names something else.
absl::StatusOr<std::optional<HubPort>> PeerOf(const HostPaths& paths, const HubPort& port);

// Why the port may keep its power though it is switched off: its hub is half of a USB 3 hub, and
// the kernel does not name the other half of this port. Empty: nothing speaks for that.
std::string UnknownPeer(const HostPaths& paths, const HubPort& port);

// What the hub says of itself, such as 2.1. Halves of a USB 3 hub say 2.1 and 3 or more.
absl::StatusOr<double> UsbVersionOf(const HostPaths& paths, const std::string& hub);

}  // namespace joulefarm::agent
