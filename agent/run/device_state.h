// Reads how a device is just now: temperatures, batteries, memory, throttling.
//
// Threads: one. Ownership: none. Everything is below HostPaths' root; what cannot be read is
// absent.
#pragma once

#include <optional>

#include "agent/host/cpu_times.h"
#include "agent/host/host_paths.h"
#include "agent/host/host_sensors.h"
#include "agent/run/gates.h"

namespace joulefarm::agent {

class DeviceStateReader {
 public:
  // Looks for sensors.
  explicit DeviceStateReader(HostPaths paths);

  // The use of the processors is since the Read before, or since the constructor; absent when that
  // is too short a time to say.
  DeviceState Read();

 private:
  const HostPaths paths_;
  HostSensors sensors_;
  std::optional<CpuTimes> last_times_;
};

}  // namespace joulefarm::agent
