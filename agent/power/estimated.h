// An estimate of the device's energy from how busy its processors are, for hosts without a sensor.
//
// Threads: see PowerSource. Ownership: none.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/host/cpu_times.h"
#include "agent/host/host_paths.h"
#include "agent/power/power_source.h"

namespace joulefarm::agent {

inline constexpr char kEstimatedChannel[] = "estimated";

// What the operator states of the device; what is absent is guessed: 5 W idle, 10 W more per core
// when all are busy.
struct EstimateSettings {
  std::optional<double> idle_w;
  std::optional<double> peak_w;
  // Relative standard uncertainty; absent: 0.5.
  std::optional<double> relative_u;
  // Often enough that a phase of a second has bounds of a few per cent.
  double nominal_hz = 50;
};

// A cumulative counter of joules, because averages over a sample would smear phases shorter than
// it:
//   E(t) = idle_w * t + (peak_w - idle_w) * busy core-seconds / cores, both since Start.
// Channel "estimated", J (scale 1e-6), positive = drawn by the device, scope DEVICE, provenance
// ESTIMATED.
class EstimatedPower : public PowerSource {
 public:
  // The number of cores is read at once; an unreadable /proc/stat is reported by Start.
  EstimatedPower(HostPaths paths, const EstimateSettings& settings);

  const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
  absl::Status Start() override;
  absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t& lost) override;

  double idle_w() const { return idle_w_; }
  double peak_w() const { return peak_w_; }

 private:
  const HostPaths paths_;
  CpuTimesReader cpu_times_;
  int cores_ = 0;
  double idle_w_ = 0;
  double peak_w_ = 0;
  std::vector<v1::ChannelInfo> channels_;
  std::int64_t start_ns_ = 0;
  double start_busy_s_ = 0;
  std::int64_t last_raw_ = 0;
};

}  // namespace joulefarm::agent
