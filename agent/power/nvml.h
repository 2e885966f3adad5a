// NVIDIA GPUs through NVML, which comes with their driver and is loaded at run time.
//
// Threads: any. Ownership: what is found owns its sources, and those the library.
#pragma once

#include <string>

#include "agent/power/found_power.h"

namespace joulefarm::agent {

struct NvmlSettings {
  // As dlopen takes it.
  std::string library = "libnvidia-ml.so.1";
};

// One source with a channel per GPU, gpu0 and on: the energy counter since the driver was loaded
// where the GPU has one (Volta and newer), else its power, which newer ones average over a second.
// Both are of the whole board with its memory. A GPU that has neither, such as a Jetson's, is an
// obstacle, never 0. Several of one kind get a sum, `gpus`. Nothing at all where there is no such
// library.
void FindNvml(const NvmlSettings& settings, FoundPower& found);

}  // namespace joulefarm::agent
