// What the local device does just now: what the running attempt samples, or, between attempts, what
// the host's sensors say.
//
// Threads: Read and Rest on one thread. Ownership: owns the probe of the idle host, which exists
// only while somebody looks; the live attempt outlives this.
#pragma once

#include <memory>
#include <string>

#include "agent/host/host_paths.h"
#include "agent/host/host_probe.h"
#include "agent/power/registry.h"
#include "agent/run/live_attempt.h"
#include "joulefarm/v1/agent_service.pb.h"

namespace joulefarm::agent {

// What of a reading is known.
void FillTelemetry(const LiveReading& reading, v1::Telemetry& telemetry);

class DeviceTelemetry {
 public:
  DeviceTelemetry(std::string device_id, HostPaths paths, PowerSettings power, LiveAttempt* live);

  v1::Telemetry Read();
  // Nobody looks any more: gives the sensors back.
  void Rest() { probe_.reset(); }

 private:
  const std::string device_id_;
  const HostPaths paths_;
  const PowerSettings power_;
  LiveAttempt* live_;
  std::unique_ptr<HostProbe> probe_;
};

}  // namespace joulefarm::agent
