// How old what a chip's driver says of a power may be when it is read.
//
// Threads: any. Ownership: values.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "agent/host/sysfs.h"

namespace joulefarm::agent {

// Where nobody says: longer than any such chip or driver is known to take as it is shipped.
constexpr std::int64_t kAssumedRefreshNs = 1'000'000'000;

// The time in which a chip converts all its inputs, as hwmon states it.
inline std::optional<double> CycleMs(const std::filesystem::path& hwmon) {
  const absl::StatusOr<std::int64_t> ms = ReadSysfsNumber(hwmon / "update_interval");
  return ms.ok() && *ms > 0 ? std::optional<double>(static_cast<double>(*ms)) : std::nullopt;
}

// A register has the mean over a cycle and keeps it until the next one is over.
inline std::int64_t RefreshNs(std::optional<double> cycle_ms) {
  return cycle_ms ? std::llround(2 * *cycle_ms * 1e6) : kAssumedRefreshNs;
}

}  // namespace joulefarm::agent
