#include "cli/trace/trace_info.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/query.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {
namespace {

std::string HeadQuery(const TraceQuery& query) {
  return absl::StrCat(
      "SELECT job.id AS job, job.experiment, job.cell, attempt.fence AS attempt, "
      "attempt.device_id AS device, channel.name, channel.source, channel.quantity, "
      "channel.scope, channel.provenance, channel.description, channel.nominal_hz, "
      "channel.refresh_ns, channel.wrap_raw * channel.scale AS wrap FROM job JOIN attempt ON "
      "attempt.job_id = job.id AND attempt.fence = ",
      query.attempt ? absl::StrCat(*query.attempt)
                    : "coalesce(job.accepted_fence, (SELECT max(fence) FROM attempt AS a WHERE "
                      "a.job_id = job.id))",
      " JOIN channel ON channel.attempt = attempt.fence AND ",
      query.channel.empty() ? "channel.is_primary = 1"
                            : absl::StrCat("channel.name = ", SqlText(query.channel)),
      " WHERE job.id = ", SqlText(query.job),
      " ORDER BY channel.is_primary DESC, channel.source LIMIT 1");
}

// Why the controller has no such trace.
absl::Status WhyNot(FarmClient& client, const TraceQuery& query) {
  v1::GetTraceRequest request;
  request.set_job(query.job);
  if (query.attempt) request.set_attempt(*query.attempt);
  request.set_channel(query.channel);
  TableCollector ignored;
  absl::Status status = client.Trace(request, ignored);
  if (!status.ok()) return status;
  // It came into being between the two questions.
  return absl::UnavailableError("the trace has only just begun: ask again");
}

// On the clock of the device's host; NULL where another clock's stamp could not be brought to it.
std::string ChunkEdge(const char* column) {
  return absl::StrCat("coalesce(t.", column, ", CASE WHEN c.source = 0 AND k.clock IS NULL THEN c.",
                      column, " END) AS ", column);
}

}  // namespace

const TracePhase* TraceInfo::PhaseAt(std::int64_t t_ns) const {
  auto after =
      std::upper_bound(phases.begin(), phases.end(), t_ns,
                       [](std::int64_t t, const TracePhase& phase) { return t < phase.start_ns; });
  if (after == phases.begin()) return nullptr;
  const TracePhase& phase = *--after;
  return t_ns < phase.end_ns ? &phase : nullptr;
}

bool TraceInfo::IsOfRun(std::int64_t run, std::int64_t t_ns) const {
  if (const TracePhase* phase = PhaseAt(t_ns); phase != nullptr && phase->run)
    return *phase->run == run;
  return std::none_of(runs.begin(), runs.end(), [&](const TraceRun& other) {
    return other.run != run && other.start_ns <= t_ns && t_ns < other.end_ns;
  });
}

std::int64_t TraceInfo::Origin() const {
  if (phases.empty()) return first_ns;
  return samples == 0 ? phases.front().start_ns : std::min(phases.front().start_ns, first_ns);
}

absl::StatusOr<TraceRun> TraceInfo::FindRun(std::int64_t run) const {
  std::vector<std::string> known;
  for (const TraceRun& candidate : runs) {
    known.push_back(absl::StrCat(candidate.run));
    if (candidate.run != run) continue;
    TraceRun found = candidate;
    for (const TracePhase& phase : phases) {
      if (phase.run != run) continue;
      found.start_ns = std::min(found.start_ns, phase.start_ns);
      found.end_ns = std::max(found.end_ns, phase.end_ns);
    }
    return found;
  }
  return absl::NotFoundError(
      absl::StrCat("attempt ", attempt, " of ", job, " has no run ", run,
                   known.empty() ? "; it has none" : "; it has " + absl::StrJoin(known, ", ")));
}

std::int64_t TraceInfo::PeriodNs() const {
  if (channel.nominal_hz > 0) return std::llround(1e9 / channel.nominal_hz);
  return samples < 2 ? 0 : (last_ns - first_ns) / (samples - 1);
}

v1::GetTraceRequest RequestFor(const TraceInfo& info) {
  v1::GetTraceRequest request;
  request.set_job(info.job);
  request.set_attempt(info.attempt);
  request.set_channel(info.channel.name);
  return request;
}

absl::StatusOr<TraceInfo> LoadTraceInfo(FarmClient& client, const TraceQuery& query) {
  const auto head = Ask(client, HeadQuery(query));
  if (!head.ok()) return head.status();
  if (head->rows.empty()) return WhyNot(client, query);
  const RowValues& row = head->rows.front();
  const auto text = [&](absl::string_view name) { return TextAt(*head, row, name).value_or(""); };
  TraceInfo info;
  info.job = text("job");
  info.experiment = text("experiment");
  info.cell = text("cell");
  info.device = text("device");
  info.attempt = IntAt(*head, row, "attempt");
  info.channel = {text("name"),
                  IntAt(*head, row, "source"),
                  text("quantity"),
                  text("scope"),
                  text("provenance"),
                  text("description"),
                  RealAt(*head, row, "nominal_hz").value_or(0),
                  IntAt(*head, row, "refresh_ns"),
                  RealAt(*head, row, "wrap")};

  const auto phases = Ask(client, absl::StrCat("SELECT phase, run, start_ns, end_ns FROM phase "
                                               "WHERE attempt = ",
                                               info.attempt, " ORDER BY start_ns, end_ns"));
  if (!phases.ok()) return phases.status();
  for (const RowValues& phase : phases->rows) {
    const std::int64_t* run = std::get_if<std::int64_t>(&phases->At(phase, "run"));
    info.phases.push_back({TextAt(*phases, phase, "phase").value_or("other"),
                           run == nullptr ? std::nullopt : std::optional<std::int64_t>(*run),
                           IntAt(*phases, phase, "start_ns"), IntAt(*phases, phase, "end_ns")});
  }
  const auto runs =
      Ask(client, absl::StrCat("SELECT run, warmup, start_ns, end_ns FROM run WHERE "
                               "attempt = ",
                               info.attempt, " AND start_ns IS NOT NULL ORDER BY run"));
  if (!runs.ok()) return runs.status();
  for (const RowValues& run : runs->rows) {
    info.runs.push_back({IntAt(*runs, run, "run"), IsWarmup(*runs, run),
                         IntAt(*runs, run, "start_ns"), IntAt(*runs, run, "end_ns")});
  }
  const auto chunks =
      Ask(client, absl::StrCat("SELECT min(t0_ns) FILTER (WHERE gap = 0 AND n > 0) AS first, "
                               "max(t1_ns) FILTER (WHERE gap = 0 AND n > 0) AS last, "
                               "sum(n) FILTER (WHERE gap = 0) AS samples, "
                               "sum(lost) + coalesce(sum(n) FILTER (WHERE gap = 1), 0) AS lost "
                               "FROM (SELECT n, lost, gap, ",
                               ChunkEdge("t0_ns"), ", ", ChunkEdge("t1_ns"),
                               " FROM trace_chunk AS c LEFT JOIN chunk_time AS t ON t.chunk = c.id "
                               "JOIN channel AS k ON k.attempt = c.attempt AND k.source = c.source "
                               "AND k.name = c.channel WHERE c.attempt = ",
                               info.attempt, " AND c.source = ", info.channel.source,
                               " AND c.channel = ", SqlText(info.channel.name), ")"));
  if (!chunks.ok()) return chunks.status();
  if (!chunks->rows.empty()) {
    const RowValues& all = chunks->rows.front();
    info.first_ns = IntAt(*chunks, all, "first");
    info.last_ns = IntAt(*chunks, all, "last");
    info.samples = IntAt(*chunks, all, "samples");
    info.lost = IntAt(*chunks, all, "lost");
  }
  return info;
}

}  // namespace joulefarm::cli
