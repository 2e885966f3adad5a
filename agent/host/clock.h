// The host's clocks read together, and which boot this is.
//
// Threads: any. Ownership: none.
#pragma once

#include <optional>
#include <string>

#include "agent/host/host_paths.h"
#include "agent/process/boottime.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

// BOOTTIME, MONOTONIC, MONOTONIC_RAW and REALTIME, as close together as a few tries allow: BOOTTIME
// is read around the others and the narrowest try is taken, its middle being the stamp.
v1::ClockSnapshot ReadClocks();

// Changes with every boot; nullopt when the kernel does not say.
std::optional<std::string> BootId(const HostPaths& paths);

}  // namespace joulefarm::agent
