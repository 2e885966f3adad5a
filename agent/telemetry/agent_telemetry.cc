#include "agent/telemetry/agent_telemetry.h"

#include <utility>

namespace joulefarm::agent {

AgentTelemetry::AgentTelemetry(Options options)
    : options_(std::move(options)),
      device_(options_.device_id, options_.paths, options_.power, options_.live),
      own_({.tell = [this](Connection to) { options_.send(to, {device_.Read()}); },
            .rest = [this] { device_.Rest(); }}),
      helped_({.tell = [this](Connection to) { TellHelps(to); }, .rest = [] {}}) {}

void AgentTelemetry::Ask(Connection connection, const v1::WatchDevice& ask) {
  (ask.device_id() == options_.device_id ? own_ : helped_).Ask(connection, ask);
}

void AgentTelemetry::TellHelps(Connection connection) {
  std::vector<v1::Telemetry> all;
  for (const LiveHelps::Now& now : options_.helps->Read()) {
    v1::Telemetry& telemetry = all.emplace_back();
    telemetry.set_device_id(now.device_id);
    telemetry.set_fence(now.fence);
    FillTelemetry(now.reading, telemetry);
  }
  if (!all.empty()) options_.send(connection, std::move(all));
}

}  // namespace joulefarm::agent
