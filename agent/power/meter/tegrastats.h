// Lines of NVIDIA's `tegrastats`: the power of a Jetson's rails.
//
// Threads: see MeterDecoder. Ownership: values.
#pragma once

#include "agent/power/meter/model.h"

namespace joulefarm::agent {

// A sample per line. power_w: the board's input rail (VDD_IN, POM_5V_IN, VIN), or where the board
// has none and all parts of the sum its maker defines are there, that sum; never a part of it,
// which are its `parts`. More: "<RAIL>_w" for each rail, "<zone>_c" for each temperature, ram_mb,
// swap_mb, cpu_pct (mean of the cores that are on), gr3d_pct and emc_pct. Of the numbers of a rail
// the first is that of now; the others are running means and left out. PMIC temperatures are a
// constant of the driver and left out, as are zones that are off.
MeterModel TegrastatsModel();

}  // namespace joulefarm::agent
