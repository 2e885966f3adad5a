// Factors between units of time, and spans of stamps.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>

namespace joulefarm {

inline constexpr std::int64_t kNsPerSecond = 1'000'000'000;
inline constexpr double kSecondsPerNs = 1e-9;

// Between two stamps, ns; negative when `to` is earlier. In double, which cannot overflow: where
// stamps are that far apart, nanoseconds do not matter.
inline double SpanNs(std::int64_t from_ns, std::int64_t to_ns) {
  return static_cast<double>(to_ns) - static_cast<double>(from_ns);
}

}  // namespace joulefarm
