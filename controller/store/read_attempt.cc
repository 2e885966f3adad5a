// One attempt as its frames told it, put together again from the tables for the finaliser.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "controller/store/ingest.h"
#include "controller/store/json_text.h"
#include "controller/store/load.h"

namespace joulefarm::controller {
namespace {

// Where in the event stream a row came: source, seq, idx.
using Spot = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
using Bodies = std::map<Spot, v1::Event>;

std::vector<std::string> ParseStrings(const std::string& json) {
  std::vector<std::string> items;
  google::protobuf::ListValue list;
  if (!google::protobuf::util::JsonStringToMessage(json, &list).ok()) return items;
  for (const google::protobuf::Value& value : list.values()) items.push_back(value.string_value());
  return items;
}

// All facts together, as one event would have told them.
v1::AttemptFacts ReadFacts(Session& session, Fence fence) {
  v1::AttemptFacts facts;
  Rows rows = session.Query(
      R"sql(
          SELECT engine, engine_version, engine_argv, os_version, kernel, governor,
          background_cpu, load_ms, load_state, agent_version, shortened, power_mode, pinned_cores,
          power_path, operator, prompts_sha256, settled, battery_wh
          FROM attempt WHERE fence = ?)sql",
      fence);
  if (!rows.Next()) return facts;
  if (!rows.IsNull(0)) facts.set_engine(rows.Text(0));
  if (!rows.IsNull(1)) facts.set_engine_version(rows.Text(1));
  for (std::string& word : ParseStrings(rows.Text(2))) facts.add_engine_argv(std::move(word));
  if (!rows.IsNull(3)) facts.set_os_version(rows.Text(3));
  if (!rows.IsNull(4)) facts.set_kernel(rows.Text(4));
  if (!rows.IsNull(5)) facts.set_governor(rows.Text(5));
  if (!rows.IsNull(6)) facts.set_background_cpu(rows.Real(6));
  if (!rows.IsNull(7)) facts.set_load_ms(rows.Real(7));
  if (!rows.IsNull(8)) facts.set_load_state(rows.Text(8));
  if (!rows.IsNull(9)) facts.set_agent_version(rows.Text(9));
  for (std::string& word : ParseStrings(rows.Text(10))) facts.add_shortened(std::move(word));
  if (!rows.IsNull(11)) facts.set_power_mode(rows.Text(11));
  if (!rows.IsNull(12)) facts.set_pinned_cores(rows.Text(12));
  if (!rows.IsNull(13)) facts.set_power_path(rows.Text(13));
  std::map<std::string, std::string> stated;
  if (ParseJsonObject(rows.Text(14), stated)) {
    facts.mutable_operator_stated()->insert(stated.begin(), stated.end());
  }
  if (!rows.IsNull(15)) facts.set_prompts_sha256(rows.Text(15));
  if (!rows.IsNull(16)) facts.set_settled(rows.Text(16));
  if (!rows.IsNull(17)) facts.set_battery_wh(rows.Real(17));
  return facts;
}

void ReadChannels(Session& session, Fence fence, Bodies& bodies) {
  Rows rows = session.Query(
      R"sql(
          SELECT source, seq, idx, name, quantity, scale, nominal_hz, parent, scope, provenance,
          gain_u, offset_u, refresh_ns, wrap_raw, is_primary, description, clock, latency_ns,
          latency_u_ns, smoothing_ns, stamp_bound_ns, meter
          FROM channel WHERE attempt = ?)sql",
      fence);
  while (rows.Next()) {
    v1::ChannelInfo& channel = *bodies[{rows.Int(0), rows.Int(1), rows.Int(2)}].mutable_channel();
    channel.set_name(rows.Text(3));
    channel.set_quantity(rows.Enum<v1::Quantity>(4));
    channel.set_scale(rows.Real(5));
    channel.set_nominal_hz(rows.Real(6));
    channel.set_parent(rows.Text(7));
    channel.set_scope(rows.Enum<v1::Scope>(8));
    channel.set_provenance(rows.Enum<v1::Provenance>(9));
    if (!rows.IsNull(10)) channel.set_gain_u(rows.Real(10));
    if (!rows.IsNull(11)) channel.set_offset_u(rows.Real(11));
    if (!rows.IsNull(12)) channel.set_refresh_ns(rows.Int(12));
    if (!rows.IsNull(13)) channel.set_wrap_raw(rows.Int(13));
    channel.set_primary(rows.Int(14) != 0);
    channel.set_description(rows.Text(15));
    channel.set_clock(rows.Text(16));
    if (!rows.IsNull(17)) channel.set_latency_ns(rows.Int(17));
    if (!rows.IsNull(18)) channel.set_latency_u_ns(rows.Int(18));
    if (!rows.IsNull(19)) channel.set_smoothing_ns(rows.Int(19));
    if (!rows.IsNull(20)) channel.set_stamp_bound_ns(rows.Int(20));
    channel.set_meter(rows.Text(21));
  }
}

void ReadRuns(Session& session, Fence fence, Bodies& bodies) {
  Rows rows = session.Query(
      R"sql(
          SELECT source, seq, idx, run, warmup, start_ns, end_ns, output_sha256, peak_rss_bytes,
          bench_n_prompt, bench_prompt_ns, bench_n_gen, bench_gen_ns, bench_n_depth
          FROM run WHERE attempt = ? AND seq IS NOT NULL)sql",
      fence);
  while (rows.Next()) {
    v1::RunDone& run = *bodies[{rows.Int(0), rows.Int(1), rows.Int(2)}].mutable_run();
    run.set_run(rows.Int32(3));
    run.set_warmup(rows.Int(4) != 0);
    run.set_start_ns(rows.Int(5));
    run.set_end_ns(rows.Int(6));
    if (!rows.IsNull(7)) run.set_output_sha256(rows.Text(7));
    if (!rows.IsNull(8)) run.set_peak_rss_bytes(rows.Int(8));
    if (!rows.IsNull(9)) run.mutable_bench()->set_n_prompt(rows.Int32(9));
    if (!rows.IsNull(10)) run.mutable_bench()->set_prompt_ns(rows.Int(10));
    if (!rows.IsNull(11)) run.mutable_bench()->set_n_gen(rows.Int32(11));
    if (!rows.IsNull(12)) run.mutable_bench()->set_gen_ns(rows.Int(12));
    if (!rows.IsNull(13)) run.mutable_bench()->set_n_depth(rows.Int32(13));
  }
}

void ReadPhases(Session& session, Fence fence, Bodies& bodies) {
  Rows rows = session.Query(
      R"sql(
          SELECT source, seq, idx, phase, start_ns, end_ns, run, request, bound_ns FROM phase
          WHERE attempt = ?)sql",
      fence);
  while (rows.Next()) {
    v1::PhaseDone& phase = *bodies[{rows.Int(0), rows.Int(1), rows.Int(2)}].mutable_phase();
    phase.set_phase(rows.Enum<v1::Phase>(3));
    phase.set_start_ns(rows.Int(4));
    phase.set_end_ns(rows.Int(5));
    if (!rows.IsNull(6)) phase.set_run(rows.Int32(6));
    if (!rows.IsNull(7)) phase.set_request(rows.Int32(7));
    if (!rows.IsNull(8)) phase.set_bound_ns(rows.Int(8));
  }
}

void ReadRequests(Session& session, Fence fence, Bodies& bodies) {
  Rows rows = session.Query(
      R"sql(
          SELECT source, seq, idx, run, request, t_req_ns, t_first_ns, t_last_ns, idx_first,
          idx_last, n_prompt, n_evaluated, n_cached, prompt_ms, n_gen, stop
          FROM request WHERE attempt = ?)sql",
      fence);
  while (rows.Next()) {
    v1::RequestDone& request = *bodies[{rows.Int(0), rows.Int(1), rows.Int(2)}].mutable_request();
    request.set_run(rows.Int32(3));
    request.set_request(rows.Int32(4));
    request.set_t_req_ns(rows.Int(5));
    if (!rows.IsNull(6)) request.set_t_first_ns(rows.Int(6));
    if (!rows.IsNull(7)) request.set_t_last_ns(rows.Int(7));
    if (!rows.IsNull(8)) request.set_idx_first(rows.Int32(8));
    if (!rows.IsNull(9)) request.set_idx_last(rows.Int32(9));
    if (!rows.IsNull(10)) request.set_n_prompt(rows.Int32(10));
    if (!rows.IsNull(11)) request.set_n_evaluated(rows.Int32(11));
    if (!rows.IsNull(12)) request.set_n_cached(rows.Int32(12));
    if (!rows.IsNull(13)) request.set_prompt_ms(rows.Real(13));
    if (!rows.IsNull(14)) request.set_n_gen(rows.Int32(14));
    request.set_stop(rows.Text(15));
  }
}

void ReadClocks(Session& session, Fence fence, Bodies& bodies) {
  Rows rows = session.Query(
      R"sql(
          SELECT source, seq, idx, boottime_ns, monotonic_ns, monotonic_raw_ns, realtime_ns
          FROM clock_snapshot WHERE attempt = ?)sql",
      fence);
  while (rows.Next()) {
    v1::ClockSnapshot& clock = *bodies[{rows.Int(0), rows.Int(1), rows.Int(2)}].mutable_clock();
    clock.set_boottime_ns(rows.Int(3));
    clock.set_monotonic_ns(rows.Int(4));
    clock.set_monotonic_raw_ns(rows.Int(5));
    clock.set_realtime_ns(rows.Int(6));
  }
}

// Meter records have no place in the event stream: there is one per meter.
void ReadMeters(Session& session, Fence fence, std::vector<v1::Event>& events) {
  Rows rows = session.Query(
      R"sql(
          SELECT resource_id, model, serial, firmware, place, agent_id, tare_w, tare_at, gain,
          gain_u, sense_point, cable_ohm, reversed
          FROM meter WHERE attempt = ? ORDER BY source, resource_id)sql",
      fence);
  while (rows.Next()) {
    v1::MeterRecord& meter = *events.emplace_back().mutable_meter();
    meter.set_resource_id(rows.Text(0));
    meter.set_model(rows.Text(1));
    if (!rows.IsNull(2)) meter.set_serial(rows.Text(2));
    if (!rows.IsNull(3)) meter.set_firmware(rows.Text(3));
    meter.set_place(rows.Text(4));
    meter.set_agent_id(rows.Text(5));
    if (!rows.IsNull(6)) meter.set_tare_w(rows.Real(6));
    if (!rows.IsNull(7)) meter.set_tare_at(rows.Text(7));
    if (!rows.IsNull(8)) meter.set_gain(rows.Real(8));
    if (!rows.IsNull(9)) meter.set_gain_u(rows.Real(9));
    if (!rows.IsNull(10)) meter.set_sense_point(rows.Text(10));
    if (!rows.IsNull(11)) meter.set_cable_ohm(rows.Real(11));
    meter.set_reversed(rows.Int(12) != 0);
  }
}

// The source of the row, of which 0 is the device's own agent.
std::vector<v1::Event>& EventsOf(AttemptData& data, std::int32_t source) {
  return source == 0 ? data.events : data.helpers[source];
}

void ReadClockExchanges(Session& session, Fence fence, AttemptData& data) {
  Rows rows = session.Query(
      R"sql(
          SELECT source, t1_ns, t2_ns, t3_ns, t4_ns, peer_boot_id, peer_raw_ns FROM clock_exchange
          WHERE attempt = ? ORDER BY source, seq, idx)sql",
      fence);
  while (rows.Next()) {
    v1::Event& event = EventsOf(data, rows.Int32(0)).emplace_back();
    v1::ClockExchange& exchange = *event.mutable_clock_exchange();
    exchange.set_t1_ns(rows.Int(1));
    exchange.set_t2_ns(rows.Int(2));
    exchange.set_t3_ns(rows.Int(3));
    exchange.set_t4_ns(rows.Int(4));
    exchange.set_peer_boot_id(rows.Text(5));
    if (!rows.IsNull(6)) exchange.set_peer_raw_ns(rows.Int(6));
    event.set_t_ns(exchange.t4_ns());
  }
}

// One event per restart and clock is enough: the rows know no more. In the order they are stored;
// sorting them by clock takes longer than reading them.
void ReadMeterTicks(Session& session, Fence fence, AttemptData& data) {
  Rows rows = session.Query(
      R"sql(
          SELECT source, clock, tick_ns, arrived_ns, restarted FROM meter_tick
          WHERE attempt = ? ORDER BY source, seq, idx, n)sql",
      fence);
  std::map<std::pair<std::int32_t, std::string>, std::vector<v1::Event>> by_clock;
  auto of = by_clock.end();
  while (rows.Next()) {
    if (of == by_clock.end() || of->first.first != rows.Int(0) ||
        of->first.second != rows.TextView(1)) {
      of = by_clock.try_emplace({rows.Int32(0), rows.Text(1)}).first;
    }
    const bool restarted = rows.Int(4) != 0;
    if (of->second.empty() || restarted)
      of->second.emplace_back().mutable_meter_ticks()->set_clock(of->first.second);
    v1::Event& event = of->second.back();
    v1::MeterTicks& ticks = *event.mutable_meter_ticks();
    if (restarted) ticks.set_restarted(true);
    ticks.add_tick_ns(rows.Int(2));
    ticks.add_arrived_ns(rows.Int(3));
    event.set_t_ns(rows.Int(3));
  }
  for (auto& [key, ticks] : by_clock) {
    std::vector<v1::Event>& events = EventsOf(data, key.first);
    std::move(ticks.begin(), ticks.end(), std::back_inserter(events));
  }
}

// Events in the order they came. What a later event of the same thing replaced is left out, and so
// are all facts but the first, which carries the facts of every one. Those that come by the
// thousand and meters come last.
void ReadEvents(Session& session, Fence fence, AttemptData& data) {
  Bodies bodies;
  ReadChannels(session, fence, bodies);
  ReadRuns(session, fence, bodies);
  ReadPhases(session, fence, bodies);
  ReadRequests(session, fence, bodies);
  ReadClocks(session, fence, bodies);
  const v1::AttemptFacts facts = ReadFacts(session, fence);
  bool have_facts = false;

  Rows rows = session.Query(
      R"sql(
          SELECT source, seq, idx, t_ns, kind, run, name, text, domain, quality, code, detail
          FROM event WHERE attempt = ? ORDER BY source, seq, idx)sql",
      fence);
  while (rows.Next()) {
    v1::Event event;
    const std::string kind = rows.Text(4);
    const auto body = bodies.find({rows.Int(0), rows.Int(1), rows.Int(2)});
    if (body != bodies.end()) {
      event = std::move(body->second);
    } else if (kind == "reason") {
      if (!rows.IsNull(5)) event.mutable_reason()->set_run(rows.Int32(5));
      event.mutable_reason()->set_domain(rows.Enum<v1::Domain>(8));
      event.mutable_reason()->set_quality(rows.Enum<v1::Quality>(9));
      event.mutable_reason()->set_code(rows.Text(10));
      event.mutable_reason()->set_detail(rows.Text(11));
    } else if (kind == "note") {
      event.mutable_note()->set_name(rows.Text(6));
      event.mutable_note()->set_text(rows.Text(7));
    } else if (kind == "facts" && !have_facts) {
      *event.mutable_facts() = facts;
      have_facts = true;
    } else {
      continue;
    }
    event.set_t_ns(rows.Int(3));
    EventsOf(data, rows.Int32(0)).push_back(std::move(event));
  }
  ReadMeters(session, fence, data.events);
  ReadClockExchanges(session, fence, data);
  ReadMeterTicks(session, fence, data);
}

std::vector<AttemptData::Chunk> ReadChunks(Session& session, Fence fence) {
  std::vector<AttemptData::Chunk> chunks;
  Rows rows = session.Query(
      R"sql(
          SELECT source, channel, t0_ns, t1_ns, n, lost, gap, data, crc32c, first_raw, last_raw,
          lowest_raw, highest_raw, longest_ns, raw_ns, raw2_ns, step2_ns2, noise2_ns2, id
          FROM trace_chunk
          WHERE attempt = ? ORDER BY source, channel, t0_ns, id)sql",
      fence);
  while (rows.Next()) {
    AttemptData::Chunk& item = chunks.emplace_back();
    item.source = rows.Int32(0);
    item.chunk.set_channel(rows.Text(1));
    item.chunk.set_t0_ns(rows.Int(2));
    item.chunk.set_t1_ns(rows.Int(3));
    item.chunk.set_n(rows.Int32(4));
    item.chunk.set_lost(rows.Int(5));
    item.chunk.set_gap(rows.Int(6) != 0);
    item.chunk.set_data(rows.Text(7));
    item.id = rows.Int(18);
    if (!rows.IsNull(8)) item.crc32c = static_cast<std::uint32_t>(rows.Int(8));
    if (rows.IsNull(9)) continue;
    item.summary =
        TraceSummary{rows.Int(9),   rows.Int(10),  rows.Int(11),  rows.Int(12), rows.Int(13),
                     rows.Real(14), rows.Real(15), rows.Real(16), rows.Real(17)};
  }
  return chunks;
}

// One batch per request of a run.
std::vector<v1::TokenBatch> ReadTokens(Session& session, Fence fence) {
  std::vector<v1::TokenBatch> batches;
  Rows rows = session.Query(
      R"sql(
          SELECT run, request, idx, t_ns, token_ids FROM token_time
          WHERE attempt = ? ORDER BY run, request, n)sql",
      fence);
  while (rows.Next()) {
    if (batches.empty() || batches.back().run() != rows.Int(0) ||
        batches.back().request() != rows.Int(1)) {
      batches.emplace_back().set_run(rows.Int32(0));
      batches.back().set_request(rows.Int32(1));
    }
    v1::TokenBatch& batch = batches.back();
    if (!rows.IsNull(2)) {
      batch.add_idx(rows.Int32(2));
      batch.add_t_ns(rows.Int(3));
    }
    if (rows.IsNull(4)) continue;
    google::protobuf::ListValue ids;
    if (!google::protobuf::util::JsonStringToMessage(rows.Text(4), &ids).ok()) continue;
    for (const google::protobuf::Value& id : ids.values()) {
      batch.add_id(static_cast<int>(id.number_value()));
    }
  }
  return batches;
}

std::vector<v1::Metric> ReadMetrics(Session& session, Fence fence) {
  std::vector<v1::Metric> metrics;
  // A NULL value was no number when it came (NaN).
  Rows rows = session.Query(
      R"sql(
          SELECT run, name, value, unit, t_ns FROM metric
          WHERE attempt = ? AND value IS NOT NULL ORDER BY source, seq, idx)sql",
      fence);
  while (rows.Next()) {
    v1::Metric& metric = metrics.emplace_back();
    if (!rows.IsNull(0)) metric.set_run(rows.Int32(0));
    metric.set_name(rows.Text(1));
    metric.set_value(rows.Real(2));
    metric.set_unit(rows.Text(3));
    metric.set_t_ns(rows.Int(4));
  }
  return metrics;
}

// Attempts of the same prompts that are looked at, newest first: other models and engines of a
// sweep share them.
constexpr int kEarlierAttempts = 64;

// The same work: everything of the specs that decides the tokens.
bool SameWork(const v1::JobSpec& one, const v1::JobSpec& other) {
  return one.has_generate() && other.has_generate() &&
         one.model().sha256() == other.model().sha256() &&
         one.generate().SerializeAsString() == other.generate().SerializeAsString();
}

std::optional<AttemptData::EarlierOutput> ReadEarlierOutput(Session& session, Fence fence,
                                                            const v1::JobSpec& spec) {
  if (!spec.has_generate()) return std::nullopt;
  Rows rows = session.Query(
      R"sql(
          SELECT earlier.fence, job.spec,
            (SELECT min(run.output_sha256) FROM run WHERE run.attempt = earlier.fence)
          FROM attempt AS mine
          JOIN attempt AS earlier ON earlier.prompts_sha256 = mine.prompts_sha256
            AND earlier.fence < mine.fence AND earlier.engine IS mine.engine
            AND earlier.engine_version = mine.engine_version
          JOIN job ON job.id = earlier.job_id AND job.accepted_fence = earlier.fence
          WHERE mine.fence = ? ORDER BY earlier.fence DESC LIMIT ?)sql",
      fence, kEarlierAttempts);
  while (rows.Next()) {
    v1::JobSpec other;
    if (rows.IsNull(2) || !other.ParseFromString(rows.Text(1)) || !SameWork(spec, other)) continue;
    return AttemptData::EarlierOutput{rows.Int(0), rows.Text(2)};
  }
  return std::nullopt;
}

}  // namespace

std::optional<AttemptData> ReadAttemptData(Session& session, Fence fence) {
  AttemptData data;
  {
    Rows rows = session.Query(
        "SELECT job.spec FROM attempt JOIN job ON job.id = attempt.job_id WHERE attempt.fence = ?",
        fence);
    if (!rows.Next()) return std::nullopt;
    data.spec.ParseFromString(rows.Text(0));
  }
  std::optional<v1::Final> final = ReadFinal(session, fence, 0);
  if (!final) return std::nullopt;
  data.final = std::move(*final);
  ReadEvents(session, fence, data);
  data.chunks = ReadChunks(session, fence);
  data.tokens = ReadTokens(session, fence);
  data.metrics = ReadMetrics(session, fence);
  data.earlier_output = ReadEarlierOutput(session, fence, data.spec);
  return data;
}

}  // namespace joulefarm::controller
