// From what a meter says to readings of channels: sign, tare and gain, stamps that rise, and what
// is refused or missing, counted.
//
// Threads: one. Ownership: values; the model outlives it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/power/meter/driver.h"
#include "agent/power/meter/model.h"
#include "agent/power/meter/report.h"
#include "agent/power/power_source.h"

namespace joulefarm::agent {

class MeterReadings {
 public:
  static constexpr int kPower = 0;
  static constexpr int kVoltage = 1;  // where it is measured

  // What its channels say of it.
  struct Source {
    std::string id;     // MeterReport::id, also the name of its clock
    std::string title;  // for people
    v1::Provenance provenance = v1::PROVENANCE_MEASURED;
  };

  // `name` of the power channel; the voltage's, of a model that measures it, is NAME.voltage. Parts
  // that the first sample names follow them with it, as NAME.PART.
  MeterReadings(const MeterModel& model, MeterSettings settings, const std::string& name,
                const Source& source);

  const std::vector<v1::ChannelInfo>& channels() const { return channels_; }
  // That it is asked for, or free running.
  double rate_hz() const { return rate_hz_; }
  const MeterSettings& settings() const { return settings_; }

  // Appends what a batch says. `pairs`: of models with a clock of their own.
  void Take(const MeterBatch& batch, std::vector<PowerReading>& readings,
            std::vector<ClockPair>& pairs, std::int64_t& lost);
  // The meter was opened again or its clock stepped: ticks before and after are not of one piece.
  void Restart();

  // All but reopened and overflowed.
  const MeterCounts& counts() const { return counts_; }

 private:
  // The stamp of one of the batch's samples; nullopt: out of order.
  std::optional<std::int64_t> Stamp(const MeterBatch& batch, std::size_t i);
  std::optional<double> Power(const MeterSample& sample) const;
  bool InRange(const MeterSample& sample) const;
  // With the first sample that is given out.
  void AddParts(const MeterSample& sample);
  void ReadParts(const MeterSample& sample, std::int64_t t_ns,
                 std::vector<PowerReading>& readings) const;
  void CountDistinct(std::int64_t t_ns, std::int64_t raw);
  // One pair for each tenth of a second: the one that was on its way for the shortest time.
  void Pair(const MeterBatch& batch, std::int64_t tick_ns, std::vector<ClockPair>& pairs);

  const MeterModel& model_;
  const MeterSettings settings_;
  double rate_hz_ = 0;
  std::vector<v1::ChannelInfo> channels_;
  std::vector<std::pair<std::string, int>> parts_;  // and their channels
  MeterCounts counts_;

  std::optional<std::int64_t> last_ns_;     // stamp given out
  std::optional<std::int64_t> voltage_ns_;  // of the last voltage
  // Of meters with a clock: what is added to its ticks so that they rise across restarts.
  std::int64_t shift_ns_ = 0;
  bool restarted_ = false;
  std::int64_t last_arrived_ns_ = 0;
  std::optional<ClockPair> best_;
  std::int64_t window_ns_ = 0;  // when that of best_ began
  // For the rate of distinct values.
  std::optional<std::int64_t> last_raw_;
  std::int64_t first_counted_ns_ = 0;
  std::int64_t distinct_ = 0;
};

}  // namespace joulefarm::agent
