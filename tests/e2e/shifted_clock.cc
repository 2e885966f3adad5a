// For LD_PRELOAD: shows a program a CLOCK_BOOTTIME that is off by a constant and a rate
// ($JOULEFARM_E2E_CLOCK_SHIFT, see clock_shift.h), as if it ran on a machine of its own.
// CLOCK_MONOTONIC_RAW, the same crystal, runs at that rate too. CLOCK_MONOTONIC, which threads wait
// on in the kernel, and CLOCK_REALTIME are left alone.
//
// Threads: any. Without the variable, or without its sense, nothing is shifted.
#include <dlfcn.h>
#include <sys/timerfd.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "tests/e2e/clock_shift.h"

namespace joulefarm::e2e {
namespace {

constexpr std::int64_t kNsPerS = 1'000'000'000;

// The C library's own.
template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

const std::optional<ClockShift>& Shift() {
  static const std::optional<ClockShift> shift = [] {
    ClockShift stated;
    const char* text = std::getenv(kClockShiftName);
    return text != nullptr && ClockShift::Parse(text, stated) ? std::optional(stated)
                                                              : std::nullopt;
  }();
  return shift;
}

std::int64_t Ns(const timespec& time) { return std::int64_t{time.tv_sec} * kNsPerS + time.tv_nsec; }

timespec Timespec(std::int64_t ns) { return {.tv_sec = ns / kNsPerS, .tv_nsec = ns % kNsPerS}; }

// An instant of the shown clock for the kernel; not before it, so that whoever waits is not woken
// too early.
timespec ForKernel(const timespec& shown) {
  return Timespec(std::max<std::int64_t>(1, Shift()->True(Ns(shown)) + 2));
}

// Timers on BOOTTIME, by descriptor.
std::array<std::atomic<bool>, 65536> boot_timers;

bool IsBootTimer(int fd) {
  return fd >= 0 && static_cast<std::size_t>(fd) < boot_timers.size() &&
         boot_timers[static_cast<std::size_t>(fd)];
}

}  // namespace
}  // namespace joulefarm::e2e

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  using joulefarm::e2e::Shift;
  static auto* const next = joulefarm::e2e::Next<int(clockid_t, timespec*)>("clock_gettime");
  const int result = next(clock, time);
  if (result != 0 || !Shift()) return result;
  if (clock == CLOCK_BOOTTIME) {
    *time = joulefarm::e2e::Timespec(Shift()->Shown(joulefarm::e2e::Ns(*time)));
  } else if (clock == CLOCK_MONOTONIC_RAW) {
    joulefarm::e2e::ClockShift rate = *Shift();
    rate.offset_ns = 0;
    *time = joulefarm::e2e::Timespec(rate.Shown(joulefarm::e2e::Ns(*time)));
  }
  return result;
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
  static auto* const next =
      joulefarm::e2e::Next<int(clockid_t, int, const timespec*, timespec*)>("clock_nanosleep");
  if (clock != CLOCK_BOOTTIME || (flags & TIMER_ABSTIME) == 0 || !joulefarm::e2e::Shift())
    return next(clock, flags, time, left);
  const timespec until = joulefarm::e2e::ForKernel(*time);
  return next(clock, flags, &until, left);
}

int timerfd_create(clockid_t clock, int flags) noexcept {
  static auto* const next = joulefarm::e2e::Next<int(clockid_t, int)>("timerfd_create");
  const int fd = next(clock, flags);
  if (fd >= 0 && static_cast<std::size_t>(fd) < joulefarm::e2e::boot_timers.size())
    joulefarm::e2e::boot_timers[static_cast<std::size_t>(fd)] = clock == CLOCK_BOOTTIME;
  return fd;
}

int timerfd_settime(int fd, int flags, const itimerspec* time, itimerspec* before) noexcept {
  static auto* const next =
      joulefarm::e2e::Next<int(int, int, const itimerspec*, itimerspec*)>("timerfd_settime");
  const bool armed = time->it_value.tv_sec != 0 || time->it_value.tv_nsec != 0;
  if (!armed || (flags & TFD_TIMER_ABSTIME) == 0 || !joulefarm::e2e::IsBootTimer(fd) ||
      !joulefarm::e2e::Shift())
    return next(fd, flags, time, before);
  itimerspec shifted = *time;
  shifted.it_value = joulefarm::e2e::ForKernel(time->it_value);
  return next(fd, flags, &shifted, before);
}
}
