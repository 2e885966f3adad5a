// Energy counters of processors and platforms (RAPL), through the kernel's powercap tree.
//
// Threads: any. Ownership: what is found owns its sources.
#pragma once

#include "agent/host/host_paths.h"
#include "agent/power/found_power.h"

namespace joulefarm::agent {

// One source with a counter per zone, J. Parents: packages are part of the platform (psys) where
// there is one, cores and uncore of their package. DRAM is beside its package, not in it, although
// the kernel lists it below. Several packages without a platform get a sum, `packages`. The zones
// of intel-rapl-mmio repeat those of intel-rapl and are left out.
void FindRapl(const HostPaths& paths, FoundPower& found);

}  // namespace joulefarm::agent
