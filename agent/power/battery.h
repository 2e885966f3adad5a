// Fuel gauges of the device's own batteries.
//
// Threads: any. Ownership: what is found owns its sources.
#pragma once

#include <cstdint>
#include <filesystem>

#include "absl/status/statusor.h"
#include "agent/host/host_paths.h"
#include "agent/power/found_power.h"

namespace joulefarm::agent {

// One source with a channel per battery, W: positive while it feeds the device, negative while it
// is charged; and of several, their sum, `batteries`. A gauge measures what the device draws only
// while nothing else feeds it: then it is a total. Batteries of mice and phones beside the host are
// left out.
void FindBatteries(const HostPaths& paths, FoundPower& found);

// The power of the gauge in `dir` now, uW, drawn from the battery. Drivers differ in sign: `status`
// decides, and where it is neither charging nor discharging only a negative current (by the
// kernel's rule out of the battery) or none has a direction.
absl::StatusOr<std::int64_t> ReadBatteryPower(const std::filesystem::path& dir);

}  // namespace joulefarm::agent
