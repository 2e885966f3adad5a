// What a test tells the fake NVML library, which is a shared library of its own, to answer.
//
// Threads: one. Ownership: the library owns the state.
#pragma once

#include <array>

namespace joulefarm::agent {

// Return codes of NVML.
inline constexpr int kNvmlSuccess = 0;
inline constexpr int kNvmlNotSupported = 3;
inline constexpr int kNvmlNoPermission = 4;
inline constexpr int kNvmlDriverNotLoaded = 9;
inline constexpr int kNvmlGpuIsLost = 15;

struct FakeGpu {
  const char* name = "Fake GPU";
  int energy_code = kNvmlSuccess;
  unsigned long long energy_mj = 0;
  int power_code = kNvmlSuccess;
  unsigned power_mw = 0;
};

struct FakeNvml {
  int init_code = kNvmlSuccess;
  int open = 0;  // inits less shutdowns
  unsigned count = 0;
  std::array<FakeGpu, 4> gpus;
};

// "FakeNvmlState" of the library.
using FakeNvmlState = FakeNvml*();

}  // namespace joulefarm::agent
