// Temperatures, clocks, throttling and battery charge of the host, as channels of stream HOST:
// temp.<zone>, cpu_freq.<policy>, throttle.cpu (how often processors were slowed down since boot),
// cooling.<device> (how much they are slowed down now) and battery_pct.<battery>.
//
// Threads: one. Ownership: none. Everything is below HostPaths' root.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "agent/host/host_paths.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

class HostSensors {
 public:
  // Looks for sensors. One that is switched off stays a channel: it may come on during a run.
  HostSensors(const HostPaths& paths, double nominal_hz);

  const std::vector<v1::ChannelInfo>& channels() const { return channels_; }

  // Calls `take` with the index of each channel that has a value and that value, raw; stamps are
  // the caller's business: what is sensed is slower than the time it takes to read it.
  void Read(const std::function<void(std::size_t channel, std::int64_t raw)>& take);

  // Of the last Read.
  std::optional<double> hottest_c() const { return hottest_c_; }
  std::optional<double> fastest_hz() const { return fastest_hz_; }

 private:
  struct Sensor {
    std::vector<std::filesystem::path> files;  // summed
    std::int64_t lowest = 0;                   // of one file; others say that there is no value
    std::int64_t highest = 0;
  };
  static std::optional<std::int64_t> ReadSensor(const Sensor& sensor);
  void Offer(Sensor sensor, v1::ChannelInfo channel);
  void FindZones(const HostPaths& paths, double nominal_hz);
  void FindChips(const HostPaths& paths, double nominal_hz);
  void FindClocks(const HostPaths& paths, double nominal_hz);
  void FindThrottling(const HostPaths& paths, double nominal_hz);
  void FindBatteries(const HostPaths& paths, double nominal_hz);

  std::vector<Sensor> sensors_;  // as channels_
  std::vector<v1::ChannelInfo> channels_;
  std::optional<double> hottest_c_;
  std::optional<double> fastest_hz_;
};

}  // namespace joulefarm::agent
