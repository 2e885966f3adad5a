// What an idle host does just now: the readings people watch while no attempt samples it.
//
// Threads: any; one reading is taken at a time. Ownership: owns its power sources; has no thread,
// so that a host nobody watches costs nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "agent/host/cpu_times.h"
#include "agent/host/host_paths.h"
#include "agent/host/host_sensors.h"
#include "agent/host/live_reading.h"
#include "agent/host/power_history.h"
#include "agent/power/registry.h"

namespace joulefarm::agent {

class HostProbe {
 public:
  // Begins to watch: sources are started. An attempt's sampler may run beside it.
  HostProbe(HostPaths paths, const PowerSettings& power);
  HostProbe(const HostProbe&) = delete;
  HostProbe& operator=(const HostProbe&) = delete;

  // Power and CPU share are means since the call before; the first has no power where the source
  // counts. Call it about once a second.
  LiveReading Read();

 private:
  void ReadPower(LiveReading& reading);

  const HostPaths paths_;
  std::mutex mutex_;  // guards what follows
  HostSensors sensors_;
  std::vector<std::unique_ptr<PowerSource>> sources_;
  std::size_t primary_source_ = 0;
  int primary_channel_ = 0;
  std::optional<PowerHistory> power_;
  std::optional<double> shown_w_;  // stays when a counter is asked again too soon
  std::int64_t shown_until_ns_ = 0;
  std::optional<CpuTimes> last_times_;
};

}  // namespace joulefarm::agent
