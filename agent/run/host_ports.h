// The switchable port that the device of this host hangs on, as the controller leases it.
//
// Threads: any. Ownership: values.
#pragma once

#include <string>

#include "absl/types/span.h"
#include "agent/host/host_paths.h"
#include "agent/power/switch/switches.h"
#include "joulefarm/v1/device.pb.h"

namespace joulefarm::agent {

// Switches nothing. `meters`: the announcements of this host's meters, none of which may lose power
// with the port. Its place is that of a port that a hub has; of both halves of a USB 3 port it is
// the same.
v1::ResourceAnnouncement AnnouncePort(const HostPaths& paths, const SwitchedPort& port,
                                      const std::string& agent_id,
                                      absl::Span<const v1::ResourceAnnouncement> meters);

}  // namespace joulefarm::agent
