// On-device power monitors of Android phones (ODPM, Pixel 6 and newer): energy counters of rails,
// in files of the kernel's industrial I/O.
//
// Threads: see PowerSource. Ownership: the caller gets the sources.
#pragma once

#include "agent/host/host_paths.h"
#include "agent/power/found_power.h"

namespace joulefarm::agent {

// sys/bus/iio/devices/iio:device*, of those whose name ends with "-odpm". All rails of a monitor
// come from one read of its file, with the monitor's own stamp, BOOTTIME of the phone. No rail is
// known to be the whole phone or a part of another, so there is no total and no sum.
void FindOdpm(const HostPaths& paths, FoundPower& found);

}  // namespace joulefarm::agent
