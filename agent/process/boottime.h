// CLOCK_BOOTTIME, the clock every stamp of an attempt is taken from: it goes on while the machine
// is suspended.
//
// Threads: may be called from any thread. Ownership: none.
#pragma once

#include <time.h>

#include <cstdint>

namespace joulefarm::agent {

// Nanoseconds since boot.
inline std::int64_t BoottimeNs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace joulefarm::agent
