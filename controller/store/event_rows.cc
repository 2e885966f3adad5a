// The event stream: every event leaves a row in `event`, and what has a table of its own a row
// there.
#include <cstdint>
#include <optional>
#include <string>

#include "controller/store/json_text.h"
#include "controller/store/maybe.h"
#include "controller/store/rows.h"

namespace joulefarm::controller {
namespace {

// What the row in `event` says; empty and absent become NULL.
struct EventRow {
  std::string kind;
  std::optional<int> run = {};
  std::string name = {};
  std::string text = {};
  v1::Domain domain = v1::DOMAIN_UNSPECIFIED;
  v1::Quality quality = v1::QUALITY_UNSPECIFIED;
  std::string code = {};
  std::string detail = {};
};

// Facts may come in several events: a later one adds to and overrides the earlier.
void WriteFacts(Session& session, const Place& place, const v1::AttemptFacts& facts) {
  const std::string argv =
      facts.engine_argv().empty() ? std::string() : JsonArray(facts.engine_argv());
  const std::string shortened =
      facts.shortened().empty() ? std::string() : JsonArray(facts.shortened());
  const std::string operator_stated =
      facts.operator_stated().empty()
          ? std::string()
          : JsonObject({facts.operator_stated().begin(), facts.operator_stated().end()});
  session.Run(
      R"sql(
          UPDATE attempt SET engine = coalesce(?, engine),
            engine_version = coalesce(?, engine_version),
            engine_argv = coalesce(?, engine_argv), os_version = coalesce(?, os_version),
            kernel = coalesce(?, kernel), governor = coalesce(?, governor),
            background_cpu = coalesce(?, background_cpu), load_ms = coalesce(?, load_ms),
            load_state = coalesce(?, load_state), agent_version = coalesce(?, agent_version),
            shortened = coalesce(?, shortened), power_mode = coalesce(?, power_mode),
            pinned_cores = coalesce(?, pinned_cores), power_path = coalesce(?, power_path),
            operator = coalesce(?, operator), prompts_sha256 = coalesce(?, prompts_sha256),
            settled = coalesce(?, settled), battery_wh = coalesce(?, battery_wh)
          WHERE fence = ?)sql",
      JF_MAYBE(facts, engine), JF_MAYBE(facts, engine_version), TextOrNull{argv},
      JF_MAYBE(facts, os_version), JF_MAYBE(facts, kernel), JF_MAYBE(facts, governor),
      JF_MAYBE(facts, background_cpu), JF_MAYBE(facts, load_ms), JF_MAYBE(facts, load_state),
      JF_MAYBE(facts, agent_version), TextOrNull{shortened}, JF_MAYBE(facts, power_mode),
      JF_MAYBE(facts, pinned_cores), JF_MAYBE(facts, power_path), TextOrNull{operator_stated},
      JF_MAYBE(facts, prompts_sha256), JF_MAYBE(facts, settled), JF_MAYBE(facts, battery_wh),
      place.fence);
}

// An attempt has one primary channel: the first that said so.
void WriteChannel(Session& session, const Place& place, std::int64_t index,
                  const v1::ChannelInfo& channel) {
  session.Run(
      R"sql(
          INSERT INTO channel (attempt, source, name, quantity, scale, nominal_hz, parent,
          scope, provenance, gain_u, offset_u, refresh_ns, wrap_raw, is_primary, description,
          seq, idx, clock, latency_ns, latency_u_ns, smoothing_ns, stamp_bound_ns, meter)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
          ?14 AND NOT EXISTS (SELECT 1 FROM channel WHERE attempt = ?1 AND is_primary = 1
                              AND NOT (source = ?2 AND name = ?3)),
          ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)
          ON CONFLICT (attempt, source, name) DO UPDATE SET quantity = excluded.quantity, scale
          = excluded.scale, nominal_hz = excluded.nominal_hz, parent = excluded.parent, scope =
          excluded.scope, provenance = excluded.provenance, gain_u = excluded.gain_u, offset_u =
          excluded.offset_u, refresh_ns = excluded.refresh_ns, wrap_raw = excluded.wrap_raw,
          is_primary = excluded.is_primary, description = excluded.description, seq =
          excluded.seq, idx = excluded.idx, clock = excluded.clock, latency_ns =
          excluded.latency_ns, latency_u_ns = excluded.latency_u_ns, smoothing_ns =
          excluded.smoothing_ns, stamp_bound_ns = excluded.stamp_bound_ns, meter =
          excluded.meter)sql",
      place.fence, place.source, channel.name(), channel.quantity(), channel.scale(),
      channel.nominal_hz(), TextOrNull{channel.parent()}, channel.scope(), channel.provenance(),
      JF_MAYBE(channel, gain_u), JF_MAYBE(channel, offset_u), JF_MAYBE(channel, refresh_ns),
      JF_MAYBE(channel, wrap_raw), channel.primary(), TextOrNull{channel.description()}, place.seq,
      index, TextOrNull{channel.clock()}, JF_MAYBE(channel, latency_ns),
      JF_MAYBE(channel, latency_u_ns), JF_MAYBE(channel, smoothing_ns),
      JF_MAYBE(channel, stamp_bound_ns), TextOrNull{channel.meter()});
}

void WriteRun(Session& session, const Place& place, std::int64_t index, const v1::RunDone& run) {
  session.Run(
      R"sql(
          INSERT INTO run (attempt, run, warmup, start_ns, end_ns, output_sha256,
          peak_rss_bytes, source, seq, idx, bench_n_prompt, bench_prompt_ns, bench_n_gen,
          bench_gen_ns, bench_n_depth)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (attempt, run) DO UPDATE SET warmup = excluded.warmup, start_ns =
          excluded.start_ns, end_ns = excluded.end_ns, output_sha256 = excluded.output_sha256,
          peak_rss_bytes = excluded.peak_rss_bytes, source = excluded.source, seq =
          excluded.seq, idx = excluded.idx, bench_n_prompt = excluded.bench_n_prompt,
          bench_prompt_ns = excluded.bench_prompt_ns, bench_n_gen = excluded.bench_n_gen,
          bench_gen_ns = excluded.bench_gen_ns, bench_n_depth = excluded.bench_n_depth)sql",
      place.fence, run.run(), run.warmup(), run.start_ns(), run.end_ns(),
      JF_MAYBE(run, output_sha256), JF_MAYBE(run, peak_rss_bytes), place.source, place.seq, index,
      JF_MAYBE(run.bench(), n_prompt), JF_MAYBE(run.bench(), prompt_ns),
      JF_MAYBE(run.bench(), n_gen), JF_MAYBE(run.bench(), gen_ns), JF_MAYBE(run.bench(), n_depth));
}

void WriteRequest(Session& session, const Place& place, std::int64_t index,
                  const v1::RequestDone& request) {
  session.Run(
      R"sql(
          INSERT OR REPLACE INTO request (attempt, run, request, t_req_ns, t_first_ns,
          t_last_ns, idx_first, idx_last, n_prompt, n_evaluated, n_cached, prompt_ms, n_gen,
          stop, source, seq, idx)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql",
      place.fence, request.run(), request.request(), request.t_req_ns(),
      JF_MAYBE(request, t_first_ns), JF_MAYBE(request, t_last_ns), JF_MAYBE(request, idx_first),
      JF_MAYBE(request, idx_last), JF_MAYBE(request, n_prompt), JF_MAYBE(request, n_evaluated),
      JF_MAYBE(request, n_cached), JF_MAYBE(request, prompt_ms), JF_MAYBE(request, n_gen),
      TextOrNull{request.stop()}, place.source, place.seq, index);
}

void WritePhase(Session& session, const Place& place, std::int64_t index,
                const v1::PhaseDone& phase) {
  session.Run(
      R"sql(
          INSERT INTO phase (attempt, source, seq, idx, phase, run, request, start_ns, end_ns,
          bound_ns)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql",
      place.fence, place.source, place.seq, index, phase.phase(), JF_MAYBE(phase, run),
      JF_MAYBE(phase, request), phase.start_ns(), phase.end_ns(), JF_MAYBE(phase, bound_ns));
}

void WriteClock(Session& session, const Place& place, std::int64_t index,
                const v1::ClockSnapshot& clock) {
  session.Run(
      R"sql(
          INSERT INTO clock_snapshot (attempt, source, seq, idx, boottime_ns, monotonic_ns,
          monotonic_raw_ns, realtime_ns)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?))sql",
      place.fence, place.source, place.seq, index, clock.boottime_ns(), clock.monotonic_ns(),
      clock.monotonic_raw_ns(), clock.realtime_ns());
}

// Writes the event's own table, if it has one, and says what the row in `event` is; none for what
// comes by the thousand.
std::optional<EventRow> WriteBody(Session& session, const Place& place, std::int64_t index,
                                  const v1::Event& event) {
  switch (event.body_case()) {
    case v1::Event::kFacts:
      WriteFacts(session, place, event.facts());
      return EventRow{.kind = "facts"};
    case v1::Event::kChannel:
      WriteChannel(session, place, index, event.channel());
      return EventRow{.kind = "channel", .name = event.channel().name()};
    case v1::Event::kRun:
      WriteRun(session, place, index, event.run());
      return EventRow{.kind = "run", .run = event.run().run()};
    case v1::Event::kPhase:
      WritePhase(session, place, index, event.phase());
      return EventRow{.kind = "phase",
                      .run = JF_MAYBE(event.phase(), run),
                      .name = EnumText(event.phase().phase())};
    case v1::Event::kRequest:
      WriteRequest(session, place, index, event.request());
      return EventRow{.kind = "request", .run = event.request().run()};
    case v1::Event::kClock:
      WriteClock(session, place, index, event.clock());
      return EventRow{.kind = "clock"};
    case v1::Event::kReason:
      return EventRow{.kind = "reason",
                      .run = JF_MAYBE(event.reason(), run),
                      .domain = event.reason().domain(),
                      .quality = event.reason().quality(),
                      .code = event.reason().code(),
                      .detail = event.reason().detail()};
    case v1::Event::kNote:
      return EventRow{.kind = "note", .name = event.note().name(), .text = event.note().text()};
    case v1::Event::kClockExchange:
      WriteClockExchange(session, place, index, event.clock_exchange());
      return std::nullopt;
    case v1::Event::kMeterTicks:
      WriteMeterTicks(session, place, index, event.meter_ticks());
      return std::nullopt;
    case v1::Event::kMeter:
      WriteMeter(session, place, event.meter());
      return EventRow{.kind = "meter", .name = event.meter().resource_id()};
    case v1::Event::kMeterStats:
      WriteMeterStats(session, place, event.meter_stats());
      return EventRow{.kind = "meter_stats", .name = event.meter_stats().resource_id()};
    case v1::Event::kPort:
      WritePortSwitched(session, place, index, event.t_ns(), event.port());
      return EventRow{.kind = event.port().on() ? "port_on" : "port_off",
                      .name = event.port().resource_id(),
                      .text = event.port().verified()};
    case v1::Event::BODY_NOT_SET:
      break;
  }
  // Of a newer agent: the time is kept, the rest is beyond this program.
  return EventRow{.kind = "unknown"};
}

}  // namespace

void WriteEvent(Session& session, const Place& place, std::int64_t index, const v1::Event& event) {
  const std::optional<EventRow> row = WriteBody(session, place, index, event);
  if (!row) return;
  session.Run(
      R"sql(
          INSERT INTO event (attempt, source, seq, idx, t_ns, kind, run, name, text, domain,
          quality, code, detail)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql",
      place.fence, place.source, place.seq, index, event.t_ns(), row->kind, row->run,
      TextOrNull{row->name}, TextOrNull{row->text}, row->domain, row->quality,
      TextOrNull{row->code}, TextOrNull{row->detail});
}

}  // namespace joulefarm::controller
