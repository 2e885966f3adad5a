#include "controller/store/attempt_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/store/guarded.h"
#include "controller/store/load.h"

namespace joulefarm::controller {
namespace {

constexpr int kBusyTimeoutMs = 2000;

std::optional<double> MaybeReal(const Rows& rows, int column) {
  return rows.IsNull(column) ? std::nullopt : std::make_optional(rows.Real(column));
}

std::vector<StoredEnergy> ReadEnergies(Session& session, Fence fence) {
  std::vector<StoredEnergy> energies;
  Rows rows = session.Query(
      R"sql(
          SELECT source, channel, run, request, phase, start_ns, end_ns, duration_s, energy_j,
          energy_u_j, gain_u_j, offset_u_j, clock_u_j, counter_u_j, gap_u_j, baseline_u_j,
          cable_u_j, energy_lo_j, energy_hi_j, energy_net_j, energy_net_u_j, baseline, mean_w,
          peak_w, mean_v, quality, reasons
          FROM energy WHERE attempt = ? ORDER BY id)sql",
      fence);
  while (rows.Next()) {
    StoredEnergy& energy = energies.emplace_back();
    EnergyResult& row = energy.row;
    row.source = rows.Int32(0);
    row.channel = rows.Text(1);
    if (!rows.IsNull(2)) row.run = rows.Int32(2);
    if (!rows.IsNull(3)) row.request = rows.Int32(3);
    if (!rows.IsNull(4)) row.phase = rows.Enum<v1::Phase>(4);
    row.start_ns = rows.Int(5);
    row.end_ns = rows.Int(6);
    row.duration_s = rows.Real(7);
    row.energy_j = MaybeReal(rows, 8);
    row.energy_u_j = MaybeReal(rows, 9);
    row.parts.gain_j = MaybeReal(rows, 10);
    row.parts.offset_j = MaybeReal(rows, 11);
    row.parts.clock_j = MaybeReal(rows, 12);
    row.parts.counter_j = MaybeReal(rows, 13);
    row.parts.gap_j = MaybeReal(rows, 14);
    row.parts.baseline_j = MaybeReal(rows, 15);
    row.parts.cable_j = MaybeReal(rows, 16);
    row.energy_lo_j = MaybeReal(rows, 17);
    row.energy_hi_j = MaybeReal(rows, 18);
    row.energy_net_j = MaybeReal(rows, 19);
    row.energy_net_u_j = MaybeReal(rows, 20);
    if (!rows.IsNull(21)) row.baseline = rows.Text(21);
    row.mean_w = MaybeReal(rows, 22);
    row.peak_w = MaybeReal(rows, 23);
    row.mean_v = MaybeReal(rows, 24);
    if (!rows.IsNull(25)) row.quality = rows.Enum<v1::Quality>(25);
    energy.reasons = rows.Text(26);
  }
  return energies;
}

// The experiment of that id, or the newest of that name.
std::optional<std::string> FindExperiment(Session& session, const std::string& name) {
  Rows rows = session.Query(
      "SELECT id FROM experiment WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC, number DESC "
      "LIMIT 1",
      name);
  return rows.Next() ? std::make_optional(rows.Text(0)) : std::nullopt;
}

}  // namespace

AttemptReader::AttemptReader(std::string path, SQLite::Database database)
    : path_(std::move(path)), database_(std::move(database)), session_(database_) {}

absl::StatusOr<std::unique_ptr<AttemptReader>> AttemptReader::Open(const std::string& path) {
  return Guarded(
      absl::StrCat("cannot open database ", path),
      [&]() -> absl::StatusOr<std::unique_ptr<AttemptReader>> {
        SQLite::Database database(path, SQLite::OPEN_READONLY | SQLite::OPEN_NOMUTEX,
                                  kBusyTimeoutMs);
        return std::unique_ptr<AttemptReader>(new AttemptReader(path, std::move(database)));
      });
}

absl::StatusOr<std::vector<Fence>> AttemptReader::Find(const std::string& subject,
                                                       std::optional<Fence> attempt) {
  return Guarded(absl::StrCat("cannot read ", path_), [&]() -> absl::StatusOr<std::vector<Fence>> {
    const bool job = session_.Query("SELECT 1 FROM job WHERE id = ?", subject).Next();
    const std::optional<std::string> experiment =
        job ? std::nullopt : FindExperiment(session_, subject);
    if (!job && !experiment) {
      return absl::NotFoundError(absl::StrCat("there is no job or experiment \"", subject,
                                              "\": `joulefarm job list` and `joulefarm "
                                              "experiment list` show what there is"));
    }
    std::vector<Fence> found;
    Rows rows = session_.Query(
        R"sql(
          SELECT attempt.fence FROM job JOIN attempt ON attempt.job_id = job.id
          WHERE (job.id = ?1 OR job.experiment = ?2) AND attempt.finalised = 1
          AND attempt.fence = coalesce(?3, job.accepted_fence) ORDER BY job.number, attempt.fence)sql",
        subject, experiment, attempt);
    while (rows.Next()) found.push_back(rows.Int(0));
    if (!found.empty()) return found;
    return absl::NotFoundError(
        attempt ? absl::StrCat(subject, " has no attempt ", *attempt, " with results")
                : absl::StrCat(subject, " has no accepted attempt; --attempt names another"));
  });
}

absl::StatusOr<StoredAttempt> AttemptReader::Read(Fence fence) {
  return Guarded(absl::StrCat("cannot read ", path_), [&]() -> absl::StatusOr<StoredAttempt> {
    // Rows that belong together are read at one moment.
    const SQLite::Transaction moment(database_, SQLite::TransactionBehavior::DEFERRED);
    std::optional<AttemptData> data = ReadAttemptData(session_, fence);
    if (!data) {
      return absl::NotFoundError(absl::StrCat("attempt ", fence, " has no final in the database"));
    }
    return StoredAttempt{*std::move(data), ReadEnergies(session_, fence)};
  });
}

}  // namespace joulefarm::controller
