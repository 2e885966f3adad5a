// Answers questions for telemetry: of this agent's own device, and of devices whose meter hangs
// here.
//
// Threads: Ask from any; `send` is called on threads of the senders. Ownership: owns its threads,
// the destructor stops them; the live readings outlive it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/run/live_helps.h"
#include "agent/telemetry/device_telemetry.h"
#include "agent/telemetry/telemetry_sender.h"

namespace joulefarm::agent {

class AgentTelemetry {
 public:
  struct Options {
    std::string device_id;
    HostPaths paths;
    PowerSettings power;
    LiveAttempt* live = nullptr;
    LiveHelps* helps = nullptr;
    // To the connection that asked last; must not block.
    std::function<void(Connection, std::vector<v1::Telemetry>)> send;
  };

  explicit AgentTelemetry(Options options);

  // Of another device than the own one: what is measured here for others is told, as long as it is.
  void Ask(Connection connection, const v1::WatchDevice& ask);

 private:
  void TellHelps(Connection connection);

  const Options options_;
  DeviceTelemetry device_;
  TelemetrySender own_;
  TelemetrySender helped_;
};

}  // namespace joulefarm::agent
