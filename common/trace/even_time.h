// Time on one clock from time on another, over a stretch whose ends are known on both: between
// them both run evenly.
//
// Threads: a plain value, then pure.
#pragma once

#include <cmath>
#include <cstdint>

namespace joulefarm {

struct EvenTime {
  std::int64_t from_ns = 0;
  std::int64_t to_ns = 0;
  std::int64_t at_from_ns = 0;  // the same instants on the other clock
  std::int64_t at_to_ns = 0;

  std::int64_t At(std::int64_t t_ns) const {
    const double into = static_cast<double>(t_ns - from_ns);
    const double rate = to_ns == from_ns ? 1
                                         : static_cast<double>(at_to_ns - at_from_ns) /
                                               static_cast<double>(to_ns - from_ns);
    return at_from_ns + std::llround(into * rate);
  }
};

}  // namespace joulefarm
