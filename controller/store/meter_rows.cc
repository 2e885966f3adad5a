// Rows of clocks, meters and power ports.
#include <algorithm>
#include <optional>

#include "controller/store/maybe.h"
#include "controller/store/rows.h"

namespace joulefarm::controller {

void WriteClockExchange(Session& session, const Place& place, std::int64_t index,
                        const v1::ClockExchange& exchange) {
  session.Run(
      R"sql(
          INSERT INTO clock_exchange (attempt, source, seq, idx, t1_ns, t2_ns, t3_ns, t4_ns,
          peer_boot_id, peer_raw_ns)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql",
      place.fence, place.source, place.seq, index, exchange.t1_ns(), exchange.t2_ns(),
      exchange.t3_ns(), exchange.t4_ns(), exchange.peer_boot_id(), JF_MAYBE(exchange, peer_raw_ns));
}

void WriteMeterTicks(Session& session, const Place& place, std::int64_t index,
                     const v1::MeterTicks& ticks) {
  const int pairs = std::min(ticks.tick_ns_size(), ticks.arrived_ns_size());
  for (int i = 0; i < pairs; ++i) {
    session.Run(
        R"sql(
            INSERT INTO meter_tick (attempt, source, seq, idx, clock, n, tick_ns, arrived_ns,
            restarted)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?))sql",
        place.fence, place.source, place.seq, index, ticks.clock(), i, ticks.tick_ns(i),
        ticks.arrived_ns(i), ticks.restarted() && i == 0);
  }
}

// A later record of the same meter overrides the earlier; how it did comes apart.
void WriteMeter(Session& session, const Place& place, const v1::MeterRecord& meter) {
  session.Run(
      R"sql(
          INSERT INTO meter (attempt, source, resource_id, model, serial, firmware, place,
          agent_id, tare_w, tare_at, gain, gain_u, sense_point, cable_ohm, reversed)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (attempt, source, resource_id) DO UPDATE SET model = excluded.model,
          serial = excluded.serial, firmware = excluded.firmware, place = excluded.place,
          agent_id = excluded.agent_id, tare_w = excluded.tare_w, tare_at = excluded.tare_at,
          gain = excluded.gain, gain_u = excluded.gain_u, sense_point = excluded.sense_point,
          cable_ohm = excluded.cable_ohm, reversed = excluded.reversed)sql",
      place.fence, place.source, meter.resource_id(), meter.model(), JF_MAYBE(meter, serial),
      JF_MAYBE(meter, firmware), TextOrNull{meter.place()}, meter.agent_id(),
      JF_MAYBE(meter, tare_w), JF_MAYBE(meter, tare_at), JF_MAYBE(meter, gain),
      JF_MAYBE(meter, gain_u), JF_MAYBE(meter, sense_point), JF_MAYBE(meter, cable_ohm),
      meter.reversed());
}

void WriteMeterStats(Session& session, const Place& place, const v1::MeterStats& stats) {
  session.Run(
      R"sql(
          UPDATE meter SET samples = ?, lost = ?, rejected = ?, reopened = ?, distinct_hz = ?,
            half_round_trip_ns = ?, trouble = ?
          WHERE attempt = ? AND source = ? AND resource_id = ?)sql",
      stats.samples(), stats.lost(), stats.rejected(), stats.reopened(),
      JF_MAYBE(stats, distinct_hz), JF_MAYBE(stats, half_round_trip_ns),
      TextOrNull{stats.trouble()}, place.fence, place.source, stats.resource_id());
}

void WritePortSwitched(Session& session, const Place& place, std::int64_t index, std::int64_t t_ns,
                       const v1::PortSwitched& port) {
  session.Run(
      R"sql(
          INSERT INTO port_switch (attempt, source, seq, idx, t_ns, resource_id, switched_on,
          verified)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?))sql",
      place.fence, place.source, place.seq, index, t_ns, port.resource_id(), port.on(),
      TextOrNull{port.verified()});
}

}  // namespace joulefarm::controller
