// A clock that is away from the machine's own by a constant and a rate: what shifted_clock.cc shows
// to a program, and what a test undoes.
//
// Threads: a value.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace joulefarm::e2e {

// Where a program finds it: Text() of it.
inline constexpr char kClockShiftName[] = "JOULEFARM_E2E_CLOCK_SHIFT";

struct ClockShift {
  std::int64_t epoch_ns = 0;   // true time at which only the offset is between the two
  std::int64_t offset_ns = 0;  // shown - true
  std::int64_t rate_ppb = 0;   // how much faster it runs

  std::int64_t Shown(std::int64_t true_ns) const {
    return true_ns + offset_ns + Scaled(true_ns - epoch_ns, rate_ppb, kBillion);
  }
  // To within 2 ns.
  std::int64_t True(std::int64_t shown_ns) const {
    return epoch_ns + Scaled(shown_ns - offset_ns - epoch_ns, kBillion, kBillion + rate_ppb);
  }

  std::string Text() const {
    return std::to_string(epoch_ns) + " " + std::to_string(offset_ns) + " " +
           std::to_string(rate_ppb);
  }
  // False: that is no text of one.
  static bool Parse(const char* text, ClockShift& shift) {
    long long epoch = 0;
    long long offset = 0;
    long long rate = 0;
    if (std::sscanf(text, "%lld %lld %lld", &epoch, &offset, &rate) != 3) return false;
    shift = {epoch, offset, rate};
    return true;
  }

 private:
  static constexpr std::int64_t kBillion = 1'000'000'000;

  static std::int64_t Scaled(std::int64_t value, std::int64_t by, std::int64_t over) {
    __extension__ using Wide = __int128;
    return static_cast<std::int64_t>(Wide{value} * by / over);
  }
};

}  // namespace joulefarm::e2e
