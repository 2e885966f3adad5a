// Power that other hwmon drivers report: power sensors such as INA219/226/238, GPUs, and power
// meters of whole machines.
//
// Threads: any. Ownership: what is found owns its sources.
#pragma once

#include "agent/host/host_paths.h"
#include "agent/power/found_power.h"

namespace joulefarm::agent {

// One source per chip, with a channel for each power (powerK_input or powerK_average); where a
// sensor of a kind known to measure both gives no power, for its voltage times its current. Chips
// that repeat a battery's gauge or say what was negotiated rather than measured are left out. After
// FindBoardRails and FindBatteries.
void FindHwmonPower(const HostPaths& paths, FoundPower& found);

}  // namespace joulefarm::agent
