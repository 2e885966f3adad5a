// How far the stamps of a channel may be from the clock of the device's host, by part.
//
// Threads: plain values.
#pragma once

#include <cstdint>
#include <optional>

namespace joulefarm {

// Bounds, ns; absent: the part does not apply.
struct ClockParts {
  std::optional<std::int64_t> meter_fit_ns;    // from the meter's own clock to its host's
  std::optional<std::int64_t> stamp_ns;        // what the source says of its stamps
  std::optional<std::int64_t> latency_ns;      // of the model's constant latency
  std::optional<std::int64_t> source_host_ns;  // from the meter's host to the controller's
  std::optional<std::int64_t> device_host_ns;  // from there to the device's
  std::optional<std::int64_t> phase_ns;        // of the stamps of phases, the widest

  // They may all err the same way.
  std::int64_t Sum() const {
    return meter_fit_ns.value_or(0) + stamp_ns.value_or(0) + latency_ns.value_or(0) +
           source_host_ns.value_or(0) + device_host_ns.value_or(0) + phase_ns.value_or(0);
  }

  bool operator==(const ClockParts&) const = default;
};

}  // namespace joulefarm
