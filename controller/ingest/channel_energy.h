// The energy of a channel over parts of an attempt, by the rule of its kind: samples, averages,
// counters; and for a device behind a cable or with a battery of its own, with what those do.
//
// Threads: one. Ownership: the view outlives it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/measure/energy.h"
#include "controller/ingest/attempt_view.h"
#include "controller/ingest/channel_trace.h"

namespace joulefarm::controller {

class PowerBlocks;

// Integrates what one channel says.
class ChannelIntegrator {
 public:
  ChannelIntegrator(const ChannelView& channel, Summaries summaries);
  ~ChannelIntegrator();

  // `bound_ns`: what the edges of the parts are off by at most.
  Energy Integrate(const std::vector<Interval>& parts, std::int64_t bound_ns, double beside_j = 0);
  Interval CoveredTime() const;
  int damaged() const;

 private:
  PowerTrace Trace(const std::vector<Interval>& parts, std::int64_t reach_ns);

  const std::int64_t clock_bound_ns_;
  SourceErrors errors_;
  int damaged_ = 0;
  // One of these is used.
  std::optional<CounterTrace> readings_;
  std::unique_ptr<PowerBlocks> blocks_;
  std::optional<PowerTrace> gauge_;  // whole: how slowly a gauge refreshes shows only in all of it
  std::int64_t hold_ns_ = 0;
};

// The energy that rows report.
class ChannelEnergy {
 public:
  struct Of {
    Energy energy;
    std::optional<double> mean_v;  // of the meter's voltage
    // That of the supply alone, while others are corrected by the battery's gauge: not to be
    // compared with them.
    bool uncorrected = false;
  };

  ChannelEnergy(const AttemptView& view, const ChannelView& channel, Summaries summaries);

  Of Integrate(const std::vector<Interval>& parts, std::int64_t bound_ns);
  Interval CoveredTime() const { return supply_.CoveredTime(); }
  int damaged() const { return supply_.damaged(); }

 private:
  std::optional<double> MeanVoltage(std::vector<Interval> parts);

  ChannelIntegrator supply_;
  std::optional<ChannelIntegrator> voltage_;
  double cable_ohm_ = 0;
  bool battery_in_path_ = false;
  std::optional<ChannelIntegrator> battery_;
  std::string battery_name_;
};

// Of a channel's stamps themselves, ns: what its source says of them and what is known of its
// constant delay, added up.
std::int64_t StampBound(const v1::ChannelInfo& info);

}  // namespace joulefarm::controller
