#include "agent/host/clock.h"

#include <time.h>

#include <cstdint>

#include "absl/strings/ascii.h"
#include "agent/process/proc_stat.h"

namespace joulefarm::agent {
namespace {

std::int64_t ReadNs(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

v1::ClockSnapshot ReadClocks() {
  constexpr int kTries = 5;
  v1::ClockSnapshot best;
  std::int64_t best_width = INT64_MAX;
  for (int i = 0; i < kTries; ++i) {
    const std::int64_t before = ReadNs(CLOCK_BOOTTIME);
    const std::int64_t monotonic = ReadNs(CLOCK_MONOTONIC);
    const std::int64_t raw = ReadNs(CLOCK_MONOTONIC_RAW);
    const std::int64_t real = ReadNs(CLOCK_REALTIME);
    const std::int64_t after = ReadNs(CLOCK_BOOTTIME);
    if (after - before >= best_width) continue;
    best_width = after - before;
    best.set_boottime_ns(before + (after - before) / 2);
    best.set_monotonic_ns(monotonic);
    best.set_monotonic_raw_ns(raw);
    best.set_realtime_ns(real);
  }
  return best;
}

std::optional<std::string> BootId(const HostPaths& paths) {
  const std::optional<std::string> text =
      ReadSmallFile(paths.Under("proc/sys/kernel/random/boot_id"));
  if (!text) return std::nullopt;
  std::string id(absl::StripAsciiWhitespace(*text));
  return id.empty() ? std::nullopt : std::optional(std::move(id));
}

}  // namespace joulefarm::agent
