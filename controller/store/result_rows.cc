// What the finaliser derived of an attempt.
#include <optional>
#include <string>

#include "controller/store/json_text.h"
#include "controller/store/rows.h"

namespace joulefarm::controller {
namespace {

void WriteRun(Session& session, std::int64_t fence, const RunResult& run) {
  // A run that ended without its RunDone (a crash) still gets its row.
  session.Run(
      R"sql(
          INSERT INTO run (attempt, run, speed_method, n_prompt, n_gen, ttft_ms, itps, otps,
          itl_p50_ms, itl_p99_ms, n_timed, peak_rss_mib, max_temp_c, speed_quality,
          energy_quality, quality_reasons)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (attempt, run) DO UPDATE SET speed_method = excluded.speed_method,
          n_prompt = excluded.n_prompt, n_gen = excluded.n_gen, ttft_ms = excluded.ttft_ms, itps
          = excluded.itps, otps = excluded.otps, itl_p50_ms = excluded.itl_p50_ms, itl_p99_ms =
          excluded.itl_p99_ms, n_timed = excluded.n_timed, peak_rss_mib = excluded.peak_rss_mib,
          max_temp_c = excluded.max_temp_c, speed_quality = excluded.speed_quality,
          energy_quality = excluded.energy_quality, quality_reasons = excluded.quality_reasons)sql",
      fence, run.run, run.speed_method, run.n_prompt, run.n_gen, run.ttft_ms, run.itps, run.otps,
      run.itl_p50_ms, run.itl_p99_ms, run.n_timed, run.peak_rss_mib, run.max_temp_c,
      run.speed_quality, run.energy_quality, JsonArray(run.quality_reasons));
}

void WriteEnergy(Session& session, std::int64_t fence, const EnergyResult& energy) {
  const EnergyUncertainty& u = energy.parts;
  session.Run(
      R"sql(
          INSERT INTO energy (attempt, source, channel, scope, provenance, run, request, phase,
          start_ns, end_ns, duration_s, energy_j, energy_u_j, gain_u_j, offset_u_j, clock_u_j,
          counter_u_j, gap_u_j, baseline_u_j, energy_lo_j, energy_hi_j, energy_net_j,
          energy_net_u_j, baseline, mean_w, peak_w, quality, reasons, cable_u_j, mean_v)
          VALUES (?1, ?2, ?3, (SELECT scope FROM channel
          WHERE attempt = ?1 AND source = ?2 AND name = ?3), (SELECT provenance FROM channel
          WHERE attempt = ?1 AND source = ?2 AND name = ?3), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
          ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28))sql",
      fence, energy.source, energy.channel, energy.run, energy.request, energy.phase,
      energy.start_ns, energy.end_ns, energy.duration_s, energy.energy_j, energy.energy_u_j,
      u.gain_j, u.offset_j, u.clock_j, u.counter_j, u.gap_j, u.baseline_j, energy.energy_lo_j,
      energy.energy_hi_j, energy.energy_net_j, energy.energy_net_u_j, energy.baseline,
      energy.mean_w, energy.peak_w, energy.quality, JsonArray(energy.reasons), u.cable_j,
      energy.mean_v);
}

void WriteClockBound(Session& session, std::int64_t fence, const ClockBound& bound) {
  const ClockParts& parts = bound.parts;
  const auto total = bound.known ? std::optional<std::int64_t>(parts.Sum()) : std::nullopt;
  session.Run(
      R"sql(
          INSERT INTO clock_bound (attempt, source, channel, meter_fit_ns, stamp_ns, latency_ns,
          source_host_ns, device_host_ns, phase_ns, total_ns)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql",
      fence, bound.source, bound.channel, parts.meter_fit_ns, parts.stamp_ns, parts.latency_ns,
      parts.source_host_ns, parts.device_host_ns, parts.phase_ns, total);
}

}  // namespace

void WriteRow(Session& session, const AttemptResults& results) {
  session.Run("DELETE FROM energy WHERE attempt = ?", results.fence);
  session.Run("DELETE FROM clock_bound WHERE attempt = ?", results.fence);
  session.Run(
      "DELETE FROM chunk_time WHERE chunk IN (SELECT id FROM trace_chunk WHERE attempt = ?)",
      results.fence);
  for (const RunResult& run : results.runs) WriteRun(session, results.fence, run);
  for (const EnergyResult& energy : results.energies) WriteEnergy(session, results.fence, energy);
  for (const ClockBound& bound : results.clock_bounds)
    WriteClockBound(session, results.fence, bound);
  for (const ChunkTime& time : results.chunk_times) {
    session.Run("INSERT INTO chunk_time (chunk, t0_ns, t1_ns) VALUES (?, ?, ?)", time.chunk,
                time.t0_ns, time.t1_ns);
  }
  session.Run("UPDATE attempt SET finalised = 1 WHERE fence = ?", results.fence);
}

}  // namespace joulefarm::controller
