// Power that nobody takes, for trying out a lab without a meter. Only where it is configured, and
// labelled SIMULATED wherever it is shown.
//
// Threads: see PowerSource. Ownership: none.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "agent/host/cpu_times.h"
#include "agent/host/host_paths.h"
#include "agent/power/power_source.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {

inline constexpr char kSimulatedChannel[] = "simulated";

// `watts` alone: constant. With `busy_watts` and a period: half of each at `watts`, then half at
// `busy_watts`. With `busy_watts` alone: between the two, by the share of the processors that was
// busy since the last poll.
struct SimulatedSettings {
  double watts = 5;
  std::optional<double> busy_watts = std::nullopt;
  std::optional<std::int64_t> period_ns = std::nullopt;
  double rate_hz = 1'000;  // at most 5000
};

// INVALID_ARGUMENT: what is wrong with them.
absl::Status CheckSimulated(const SimulatedSettings& settings);

// Channel "simulated": W (scale 1e-6), scope DEVICE. The samples are those of every 1/rate_hz since
// Start, handed out in batches as a meter with a buffer of ten seconds does: what a poll that comes
// later finds overwritten is lost, and said to be.
class SimulatedPower : public PowerSource {
 public:
  using Clock = std::function<std::int64_t()>;

  SimulatedPower(HostPaths paths, const SimulatedSettings& settings, Clock now = BoottimeNs);

  const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
  absl::Status Start() override;
  bool buffered() const override { return true; }
  absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t& lost) override;

  std::optional<std::int64_t> Made() const override { return made_; }

 private:
  std::int64_t StampNs(std::int64_t sample) const;
  double Watts(std::int64_t since_start_ns) const;
  absl::Status LookAtProcessors();

  const HostPaths paths_;
  CpuTimesReader cpu_times_;
  const SimulatedSettings settings_;
  const Clock now_;
  std::vector<v1::ChannelInfo> channels_;
  std::int64_t start_ns_ = 0;
  std::int64_t made_ = 0;
  std::optional<CpuTimes> times_;
  double busy_ = 0;  // share of the processors
};

}  // namespace joulefarm::agent
