// What kind of machine this is, found out without being told.
//
// Threads: any. Ownership: none. Everything is read below HostPaths' root; what cannot be read
// stays absent.
#pragma once

#include <optional>
#include <string>

#include "agent/host/host_paths.h"
#include "joulefarm/v1/device.pb.h"

namespace joulefarm::agent {

// All facts but the engines (see engines.h).
v1::DeviceFacts ReadFacts(const HostPaths& paths);

// Scaling governors of the processors, such as "performance"; several, sorted and joined by commas,
// when they differ. nullopt where frequencies are not the kernel's business.
std::optional<std::string> Governor(const HostPaths& paths);

}  // namespace joulefarm::agent
