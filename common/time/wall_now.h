// The time of day. For stamps and ages of files only: spans are measured with BOOTTIME.
//
// Thread rule: any thread. Ownership: values.
#pragma once

#include <chrono>
#include <cstdint>

namespace joulefarm {

// Nanoseconds since 1970-01-01T00:00Z.
inline std::int64_t WallNowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace joulefarm
