// Output of macOS's `powermetrics --samplers cpu_power,gpu_power`.
//
// Threads: see MeterDecoder. Ownership: values.
#pragma once

#include "agent/power/meter/model.h"

namespace joulefarm::agent {

// A sample per block; one begins with "*** Sampled system activity", and without such lines with
// every "CPU Power". power_w: "Package Power" of older systems, else "Combined Power (CPU + GPU +
// ANE)", both means over the block's time and neither with memory, screen or disk; absent where
// there is neither. More: cpu_w, gpu_w, ane_w, dram_w, package_w, combined_w, "e_cluster_w" and the
// like, and elapsed_s. Newer systems say the GPU's twice: the first counts. All other lines are
// passed over.
MeterModel PowermetricsModel();

}  // namespace joulefarm::agent
