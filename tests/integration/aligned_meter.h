// A meter's driver, the agent's readings and the controller's clocks in a row: when the results say
// that a sample was, and by how much that may be off.
//
// Threads: one. Ownership: values; the model outlives it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agent/power/meter_events.h"
#include "agent/power/meter_readings.h"
#include "controller/ingest/source_clocks.h"

namespace joulefarm {

struct PlacedSample {
  double power_w = 0;
  std::int64_t t_ns = 0;  // BOOTTIME of the device's host
};

struct PlacedSamples {
  std::vector<PlacedSample> samples;
  // Of all of them: the fit, what the source says of its stamps, and what is known of its latency.
  std::int64_t bound_ns = 0;
  std::string why_not;  // there is no sample; empty: there are
};

class AlignedMeter {
 public:
  explicit AlignedMeter(const agent::MeterModel& model, agent::MeterSettings settings = {})
      : readings_(model, std::move(settings), "m", {"meter:m", "Meter"}) {}

  const v1::ChannelInfo& channel() const { return readings_.channels()[0]; }
  const agent::MeterCounts& counts() const { return readings_.counts(); }

  void Take(const agent::MeterBatch& batch) {
    std::int64_t lost = 0;
    readings_.Take(batch, taken_, pairs_, lost);
  }

  PlacedSamples Align() const {
    constexpr std::int64_t kChunkNs = 250'000'000;  // as they are recorded
    controller::AttemptData data;
    for (v1::MeterTicks& ticks : agent::MeterTicksOf(channel().clock(), pairs_))
      *data.events.emplace_back().mutable_meter_ticks() = std::move(ticks);
    std::vector<std::vector<agent::PowerReading>> parts;
    for (const agent::PowerReading& reading : taken_) {
      if (reading.channel != agent::MeterReadings::kPower) continue;
      if (parts.empty() || reading.t_ns - parts.back().front().t_ns > kChunkNs)
        parts.emplace_back();
      parts.back().push_back(reading);
    }
    data.chunks.resize(parts.size());
    controller::ChannelView view;
    view.info = channel();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      data.chunks[i].chunk.set_t0_ns(parts[i].front().t_ns);
      data.chunks[i].chunk.set_t1_ns(parts[i].back().t_ns);
      view.chunks.push_back(&data.chunks[i]);
    }
    controller::SourceClocks(data).Align(view);
    PlacedSamples placed;
    placed.bound_ns =
        view.clock_bound_ns + view.clock.stamp_ns.value_or(0) + view.clock.latency_ns.value_or(0);
    if (view.clock_unknown && !view.findings.empty()) placed.why_not = view.findings[0].detail;
    for (const controller::AttemptData::Chunk* chunk : view.chunks) {
      for (const agent::PowerReading& reading :
           parts[static_cast<std::size_t>(chunk - data.chunks.data())]) {
        placed.samples.push_back(
            {static_cast<double>(reading.raw) * channel().scale(), view.ToPhases(reading.t_ns)});
      }
    }
    return placed;
  }

 private:
  agent::MeterReadings readings_;
  std::vector<agent::PowerReading> taken_;
  std::vector<agent::ClockPair> pairs_;
};

}  // namespace joulefarm
