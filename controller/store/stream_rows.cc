// Payloads of the streams, decoded into their tables.
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/crc32c/crc32c.h"
#include "common/trace/trace_codec.h"
#include "common/trace/trace_summary.h"
#include "controller/store/rows.h"

namespace joulefarm::controller {
namespace {

constexpr char kUnparsable[] = "the payload is not a batch of this stream";

std::string WriteLog(Session& session, const Place& place, const std::string& payload) {
  v1::LogBatch batch;
  if (!batch.ParseFromString(payload)) return kUnparsable;
  std::int64_t index = 0;
  for (const v1::LogLine& line : batch.lines()) {
    session.Run(
        R"sql(
          INSERT INTO log (attempt, source, seq, idx, t_ns, origin, text)
          VALUES (?, ?, ?, ?, ?, ?, ?))sql",
        place.fence, place.source, place.seq, index++, line.t_ns(), line.source(), line.text());
  }
  return "";
}

std::string WriteEvents(Session& session, const Place& place, const std::string& payload) {
  v1::EventBatch batch;
  if (!batch.ParseFromString(payload)) return kUnparsable;
  std::int64_t index = 0;
  for (const v1::Event& event : batch.events()) WriteEvent(session, place, index++, event);
  return "";
}

std::string WriteMetrics(Session& session, const Place& place, const std::string& payload) {
  v1::MetricBatch batch;
  if (!batch.ParseFromString(payload)) return kUnparsable;
  std::int64_t index = 0;
  for (const v1::Metric& metric : batch.metrics()) {
    std::optional<int> run;
    if (metric.has_run()) run = metric.run();
    session.Run(
        R"sql(
          INSERT INTO metric (attempt, source, seq, idx, run, name, value, unit, t_ns)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?))sql",
        place.fence, place.source, place.seq, index++, run, metric.name(), metric.value(),
        TextOrNull{metric.unit()}, metric.t_ns());
  }
  return "";
}

// Absent of what cannot be decoded, which is stored as it is: it counts as lost, and says so.
std::optional<TraceSummary> SummaryOf(const v1::TraceChunk& chunk) {
  // They keep their memory for the next chunk.
  thread_local TraceDecoder decoder;
  thread_local TraceSamples samples;
  samples.t_ns.clear();
  samples.raw.clear();
  if (!decoder.Decode(chunk, samples).ok()) return std::nullopt;
  return Summarise(samples.t_ns, samples.raw);
}

template <typename T>
std::optional<T> Of(const std::optional<TraceSummary>& summary, T TraceSummary::*field) {
  if (!summary) return std::nullopt;
  return (*summary).*field;
}

std::string WriteTraces(Session& session, const Place& place, const std::string& payload) {
  v1::TraceBatch batch;
  if (!batch.ParseFromString(payload)) return kUnparsable;
  for (const v1::TraceChunk& chunk : batch.chunks()) {
    const std::optional<TraceSummary> summary = SummaryOf(chunk);
    session.Run(
        R"sql(
          INSERT INTO trace_chunk (attempt, source, channel, t0_ns, t1_ns, n, lost, gap, data,
          crc32c, first_raw, last_raw, lowest_raw, highest_raw, longest_ns, raw_ns, raw2_ns,
          step2_ns2, noise2_ns2)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql",
        place.fence, place.source, chunk.channel(), chunk.t0_ns(), chunk.t1_ns(), chunk.n(),
        chunk.lost(), chunk.gap(), Blob{chunk.data()}, Crc32c(chunk.data()),
        Of(summary, &TraceSummary::first_raw), Of(summary, &TraceSummary::last_raw),
        Of(summary, &TraceSummary::lowest_raw), Of(summary, &TraceSummary::highest_raw),
        Of(summary, &TraceSummary::longest_ns), Of(summary, &TraceSummary::raw_ns),
        Of(summary, &TraceSummary::raw2_ns), Of(summary, &TraceSummary::step2_ns2),
        Of(summary, &TraceSummary::noise2_ns2));
  }
  return "";
}

std::int64_t NextTokenRow(Session& session, std::int64_t fence, const v1::TokenBatch& batch) {
  Rows rows = session.Query(
      R"sql(
          SELECT n + 1 FROM token_time
          WHERE attempt = ? AND run = ? AND request = ? ORDER BY n DESC LIMIT 1)sql",
      fence, batch.run(), batch.request());
  return rows.Next() ? rows.Int(0) : 0;
}

std::string WriteTokens(Session& session, const Place& place, const std::string& payload) {
  v1::TokenBatch batch;
  if (!batch.ParseFromString(payload)) return kUnparsable;
  if (batch.idx_size() != batch.t_ns_size()) {
    return absl::StrCat("a token batch with ", batch.idx_size(), " indices and ", batch.t_ns_size(),
                        " stamps");
  }
  // Ids are not one per event: the batch's ids stay together on its first row.
  std::string ids;
  if (batch.id_size() > 0) ids = absl::StrCat("[", absl::StrJoin(batch.id(), ","), "]");
  std::int64_t n = NextTokenRow(session, place.fence, batch);
  for (int i = 0; i < batch.idx_size(); ++i) {
    session.Run(
        R"sql(
          INSERT INTO token_time (attempt, run, request, n, idx, t_ns, token_ids)
          VALUES (?, ?, ?, ?, ?, ?, ?))sql",
        place.fence, batch.run(), batch.request(), n++, batch.idx(i), batch.t_ns(i),
        TextOrNull{ids});
    ids.clear();
  }
  if (!ids.empty()) {
    session.Run(
        "INSERT INTO token_time (attempt, run, request, n, token_ids) VALUES (?, ?, ?, ?, ?)",
        place.fence, batch.run(), batch.request(), n, ids);
  }
  return "";
}

}  // namespace

std::string WritePayload(Session& session, const Place& place, v1::Stream stream,
                         const std::string& payload) {
  switch (stream) {
    case v1::STREAM_LOG:
      return WriteLog(session, place, payload);
    case v1::STREAM_EVENT:
      return WriteEvents(session, place, payload);
    case v1::STREAM_METRIC:
      return WriteMetrics(session, place, payload);
    case v1::STREAM_POWER:
    case v1::STREAM_HOST:
      return WriteTraces(session, place, payload);
    case v1::STREAM_TOKEN:
      return WriteTokens(session, place, payload);
    default:
      return "no stream of rows";
  }
}

}  // namespace joulefarm::controller
