// Nordic Power Profiler Kit 2: current at 100 kHz on its own sample clock, computed with the
// calibration it keeps. It measures no voltage: power is known only where it is the source.
//
// Threads: any. Ownership: what is made belongs to the caller.
#pragma once

#include "agent/power/meter/model.h"

namespace joulefarm::agent {

// Its driver closes the way through an ampere meter and never sets a voltage, unless mode:
// source_meter is stated: then it feeds the device with supply_v (0.8 to 5 V, else
// FAILED_PRECONDITION).
MeterModel Ppk2Model();

}  // namespace joulefarm::agent
