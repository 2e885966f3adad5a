// Supply rails of boards measured by INA3221 chips, as on NVIDIA Jetsons, through either of their
// drivers: hwmon (JetPack 5 and later) or IIO (JetPack 4).
//
// Threads: any. Ownership: what is found owns its sources.
#pragma once

#include "agent/host/host_paths.h"
#include "agent/power/found_power.h"

namespace joulefarm::agent {

// One source for the rails of all chips, so that a board's rails are read together. Where one rail
// is the board's input the others are part of it; on boards without such a rail (AGX Xavier, AGX
// Orin) the sum that their maker defines is a channel, `total`. Rails that are not connected and
// inputs without a reading are left out.
void FindBoardRails(const HostPaths& paths, FoundPower& found);

}  // namespace joulefarm::agent
