#include "agent/telemetry/device_telemetry.h"

#include <optional>
#include <utility>

namespace joulefarm::agent {

void FillTelemetry(const LiveReading& reading, v1::Telemetry& telemetry) {
  telemetry.set_t_ns(reading.t_ns);
  if (reading.power_w) {
    telemetry.set_power_w(*reading.power_w);
    telemetry.set_provenance(reading.provenance);
  }
  telemetry.set_channel(reading.channel);
  if (reading.temp_c) telemetry.set_temp_c(*reading.temp_c);
  if (reading.cpu_hz) telemetry.set_cpu_hz(*reading.cpu_hz);
  if (reading.cpu_share) telemetry.set_cpu_share(*reading.cpu_share);
  if (reading.rss_bytes) telemetry.set_rss_bytes(*reading.rss_bytes);
}

DeviceTelemetry::DeviceTelemetry(std::string device_id, HostPaths paths, PowerSettings power,
                                 LiveAttempt* live)
    : device_id_(std::move(device_id)),
      paths_(std::move(paths)),
      power_(std::move(power)),
      live_(live) {}

v1::Telemetry DeviceTelemetry::Read() {
  v1::Telemetry telemetry;
  telemetry.set_device_id(device_id_);
  if (const std::optional<LiveAttempt::Now> now = live_->Read()) {
    // Beside a measurement the sensors are read by its sampler alone.
    probe_.reset();
    telemetry.set_fence(now->fence);
    if (now->tokens_per_s) telemetry.set_tokens_per_s(*now->tokens_per_s);
    FillTelemetry(now->reading, telemetry);
    return telemetry;
  }
  if (probe_ == nullptr) probe_ = std::make_unique<HostProbe>(paths_, power_);
  FillTelemetry(probe_->Read(), telemetry);
  return telemetry;
}

}  // namespace joulefarm::agent
