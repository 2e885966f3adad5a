#include "agent/power/meter_events.h"

namespace joulefarm::agent {

v1::MeterRecord MeterRecordOf(const MeterReport& meter, const std::string& agent_id) {
  v1::MeterRecord record;
  record.set_resource_id(meter.id);
  record.set_model(meter.model);
  if (meter.serial) record.set_serial(*meter.serial);
  if (meter.firmware) record.set_firmware(*meter.firmware);
  record.set_place(meter.place);
  record.set_agent_id(agent_id);
  const MeterSettings& settings = meter.settings;
  if (settings.tare_w) {
    record.set_tare_w(*settings.tare_w);
  } else if (settings.tare_a && settings.tare_v) {
    // Of a current, the power that it stood for when it was taken; the readings' own voltage is
    // what is subtracted with.
    record.set_tare_w(*settings.tare_a * *settings.tare_v);
  }
  if (!settings.tare_at.empty()) record.set_tare_at(settings.tare_at);
  if (settings.gain) record.set_gain(*settings.gain);
  if (settings.gain_u) record.set_gain_u(*settings.gain_u);
  if (!settings.sense_point.empty()) record.set_sense_point(settings.sense_point);
  if (settings.cable_ohm) record.set_cable_ohm(*settings.cable_ohm);
  record.set_reversed(settings.negate);
  return record;
}

v1::MeterStats MeterStatsOf(const MeterReport& meter) {
  v1::MeterStats stats;
  stats.set_resource_id(meter.id);
  const MeterCounts& counts = meter.counts;
  stats.set_samples(counts.samples);
  stats.set_lost(counts.lost);
  stats.set_rejected(counts.rejected + counts.out_of_range + counts.out_of_order);
  stats.set_reopened(counts.reopened);
  if (counts.distinct_hz) stats.set_distinct_hz(*counts.distinct_hz);
  if (counts.half_round_trip_ns) stats.set_half_round_trip_ns(*counts.half_round_trip_ns);
  stats.set_trouble(meter.trouble);
  return stats;
}

std::vector<v1::MeterTicks> MeterTicksOf(const std::string& clock,
                                         const std::vector<ClockPair>& pairs) {
  std::vector<v1::MeterTicks> stretches;
  for (const ClockPair& pair : pairs) {
    if (stretches.empty() || pair.restarted) {
      v1::MeterTicks& ticks = stretches.emplace_back();
      ticks.set_clock(clock);
      ticks.set_restarted(pair.restarted);
    }
    stretches.back().add_tick_ns(pair.tick_ns);
    stretches.back().add_arrived_ns(pair.arrived_ns);
  }
  return stretches;
}

}  // namespace joulefarm::agent
