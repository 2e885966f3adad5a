#include "controller/store/listing.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/config/suggest.h"
#include "common/text/no_such.h"
#include "controller/store/listing_words.h"
#include "controller/store/why_queued.h"

namespace joulefarm::controller {
namespace {

struct ListingSpec {
  v1::Listing listing;
  const char* noun;
  const char* source;
  const char* order;
  // The condition for ListRequest.id, and how to see that there is such a thing; ? is the id.
  const char* id_condition;
  const char* id_exists;
};

// An experiment by id, or the newest of a name.
#define JF_EXPERIMENT \
  "(SELECT id FROM experiment WHERE id = ? OR name = ? ORDER BY id = ? DESC, number DESC LIMIT 1)"

constexpr char kExperimentExists[] = "SELECT 1 FROM experiment WHERE id = ?1 OR name = ?1";
constexpr char kJobExists[] = "SELECT 1 FROM job WHERE id = ?1";

// TIME(column) stands for the RFC 3339 text of a column of nanoseconds since the epoch, WHY_QUEUED
// for kWhyQueued.
constexpr ListingSpec kSpecs[] = {
    {v1::LISTING_EXPERIMENTS, "experiment", R"sql(
      SELECT e.id, e.name, e.tenant,
        CASE
          WHEN NOT EXISTS (SELECT 1 FROM job WHERE job.experiment = e.id
            AND state IN ('QUEUED', 'HELD', 'ACTIVE', 'CANCELING')) THEN 'DONE'
          WHEN EXISTS (SELECT 1 FROM job WHERE job.experiment = e.id
            AND state NOT IN ('QUEUED', 'HELD')) THEN 'ACTIVE'
          ELSE 'QUEUED'
        END AS state,
        (SELECT count(*) FROM job WHERE job.experiment = e.id) AS jobs,
        (SELECT count(*) FROM job WHERE job.experiment = e.id AND state = 'SUCCEEDED') AS succeeded,
        (SELECT count(*) FROM job WHERE job.experiment = e.id
          AND state IN ('FAILED', 'EXPIRED')) AS failed,
        (SELECT count(*) FROM job WHERE job.experiment = e.id AND state = 'CANCELED') AS canceled,
        TIME(e.submitted_wall_ns) AS submitted, e.sha256, e.number AS _number
      FROM experiment AS e)sql",
     "_number DESC", "id = " JF_EXPERIMENT, kExperimentExists},
    {v1::LISTING_JOBS, "job", R"sql(
      SELECT id, experiment, cell, block, device_id, state, failure_class,
        iif(state = 'QUEUED', WHY_QUEUED, reason) AS reason, attempts,
        TIME(submitted_wall_ns) AS submitted, TIME(started_wall_ns) AS started,
        TIME(finished_wall_ns) AS finished,
        number AS _number, workload AS _workload, model AS _model
      FROM job)sql",
     "_number DESC", "id = ?", kJobExists},
    {v1::LISTING_DEVICES, "device", R"sql(
      SELECT id, agent_id, kind, link, alloc, admin, health,
        coalesce(gate_reason,
          CASE
            WHEN health_check IS NOT NULL THEN 'its health check ' || health_check
            WHEN health = 'QUARANTINED' THEN 'joulefarm device unquarantine ' || id
            ELSE 'a job to succeed on it'
          END || ': ' || health_reason) AS gate_reason,
        labels, facts
      FROM device)sql",
     "id", "id = ?", "SELECT 1 FROM device WHERE id = ?1"},
    {v1::LISTING_AGENTS, "agent", R"sql(
      SELECT id, link, version,
        (SELECT count(*) FROM device WHERE device.agent_id = agent.id) AS devices,
        TIME(last_seen_wall_ns) AS last_seen, boot_id
      FROM agent)sql",
     "id", "id = ?", "SELECT 1 FROM agent WHERE id = ?1"},
    {v1::LISTING_RESOURCES, "resource", R"sql(
      SELECT id, agent_id, kind, model, serial, place, link, alloc, admin, health, fence AS attempt,
        obstacle, labels, channels
      FROM resource)sql",
     "id", "id = ?", "SELECT 1 FROM resource WHERE id = ?1"},
    {v1::LISTING_ARTIFACTS, "artifact", R"sql(
      SELECT name, sha256, size_bytes, format, architecture, quant, parameters, context_length,
        TIME(pushed_wall_ns) AS pushed, id AS _number
      FROM artifact)sql",
     "name, _number DESC", "? IN (name, sha256, substr(sha256, 1, 12))",
     "SELECT 1 FROM artifact WHERE ?1 IN (name, sha256, substr(sha256, 1, 12))"},
    {v1::LISTING_RESULTS, "job", R"sql(
      SELECT result.*, (SELECT number FROM job WHERE job.id = result.job_id) AS _number
      FROM result)sql",
     "_number DESC, run DESC", "job_id = ?", kJobExists},
    {v1::LISTING_RESULT_SUMMARY, "experiment", "SELECT * FROM result_summary",
     "experiment, workload, cell, device_id, metric", "experiment = " JF_EXPERIMENT,
     kExperimentExists},
    {v1::LISTING_LOGS, "job", R"sql(
      SELECT log.t_ns, log.origin AS source, log.text, log.attempt,
        log.source AS _frames, log.seq AS _seq, log.idx AS _idx, attempt.job_id AS _job
      FROM attempt JOIN log ON log.attempt = attempt.fence)sql",
     "attempt, _frames, _seq, _idx", "_job = ?", kJobExists},
};

// Writes TIME(column) and WHY_QUEUED out.
std::string WrittenOut(absl::string_view source) {
  constexpr absl::string_view kMark = "TIME(";
  std::string out;
  for (std::size_t at = source.find(kMark); at != absl::string_view::npos;
       at = source.find(kMark)) {
    absl::StrAppend(&out, source.substr(0, at));
    source.remove_prefix(at + kMark.size());
    const absl::string_view column = source.substr(0, source.find(')'));
    absl::StrAppend(&out, "strftime('%Y-%m-%dT%H:%M:%S', ", column, " / 1000000000, 'unixepoch')",
                    " || printf('.%03dZ', ", column, " / 1000000 % 1000)");
    source.remove_prefix(column.size() + 1);
  }
  absl::StrAppend(&out, source);
  return absl::StrReplaceAll(out, {{"WHY_QUEUED", kWhyQueued}});
}

const ListingSpec* FindSpec(v1::Listing listing) {
  for (const ListingSpec& spec : kSpecs) {
    if (spec.listing == listing) return &spec;
  }
  return nullptr;
}

// A column means the same wherever it is listed.
v1::ColumnKind KindOf(const std::string& column) {
  static const auto& kText = *new std::set<std::string>{
      "id",           "name",          "tenant",         "state",          "sha256",
      "experiment",   "cell",          "device_id",      "failure_class",  "reason",
      "agent_id",     "kind",          "link",           "alloc",          "admin",
      "health",       "gate_reason",   "version",        "boot_id",        "format",
      "architecture", "quant",         "workload",       "job_id",         "model",
      "engine",       "model_sha256",  "engine_version", "speed_method",   "load_state",
      "baseline",     "provenance",    "energy_scope",   "energy_channel", "metric",
      "unit",         "speed_quality", "energy_quality", "stat_unit",      "ci_method",
      "source",       "text",          "_job",           "_workload",      "_model"};
  static const auto& kTextOfResources = *new std::set<std::string>{"serial", "place", "obstacle"};
  static const auto& kTime =
      *new std::set<std::string>{"submitted", "started", "finished", "last_seen", "pushed"};
  static const auto& kJson =
      *new std::set<std::string>{"labels", "facts", "params", "quality_reasons", "channels"};
  if (kText.count(column) > 0 || kTextOfResources.count(column) > 0) return v1::COLUMN_KIND_TEXT;
  if (kTime.count(column) > 0) return v1::COLUMN_KIND_TIME;
  if (kJson.count(column) > 0) return v1::COLUMN_KIND_JSON;
  if (column == "warmup") return v1::COLUMN_KIND_BOOLEAN;
  return v1::COLUMN_KIND_NUMBER;
}

absl::StatusOr<BoundValue> ParseValue(const std::string& key, v1::ColumnKind kind,
                                      const std::string& text) {
  std::int64_t integer = 0;
  double real = 0;
  bool boolean = false;
  switch (kind) {
    case v1::COLUMN_KIND_NUMBER:
      if (absl::SimpleAtoi(text, &integer)) return BoundValue(integer);
      if (absl::SimpleAtod(text, &real)) return BoundValue(real);
      return absl::InvalidArgumentError(
          absl::StrCat("filter ", key, "=", text, ": ", key, " is a number"));
    case v1::COLUMN_KIND_BOOLEAN:
      if (absl::SimpleAtob(text, &boolean)) return BoundValue(std::int64_t{boolean ? 1 : 0});
      return absl::InvalidArgumentError(
          absl::StrCat("filter ", key, "=", text, ": ", key, " is true or false"));
    default:
      return BoundValue(text);
  }
}

// The names a filter may have, in the order of the columns.
std::vector<std::string> FilterNames(const std::vector<std::string>& columns) {
  std::vector<std::string> names;
  for (const std::string& column : columns) {
    const std::string name(absl::StripPrefix(column, "_"));
    if (name == column || column == "_job" || column == "_workload" || column == "_model") {
      names.push_back(name);
    }
  }
  return names;
}

std::string Column(const std::string& column) { return absl::StrCat("\"", column, "\""); }

// Appends a condition with its value for each ? in it.
void AddCondition(std::vector<std::string>& conditions, ListingQuery& query,
                  const std::string& condition, const BoundValue& value) {
  conditions.push_back(condition);
  const auto marks = std::count(condition.begin(), condition.end(), '?');
  for (std::ptrdiff_t i = 0; i < marks; ++i) query.values.push_back(value);
}

// The word of the column that was meant, in whatever case; the text itself where any text can be.
absl::StatusOr<std::string> MeantWord(v1::Listing listing, const std::string& key,
                                      const std::string& text) {
  const std::vector<std::string> words = ListingWords(listing, key);
  if (words.empty()) return text;
  for (const std::string& word : words) {
    if (absl::EqualsIgnoreCase(word, text)) return word;
  }
  const std::optional<std::string> nearest = NearestName(text, words);
  return absl::InvalidArgumentError(
      absl::StrCat("filter ", key, "=", Quoted(text), ": no ", key, " is called so",
                   nearest ? absl::StrCat("; did you mean \"", *nearest, "\"?") : ".",
                   " There are: ", absl::StrJoin(words, ", ")));
}

absl::Status AddFilter(v1::Listing listing, const std::string& key, const std::string& text,
                       const std::vector<std::string>& columns,
                       std::vector<std::string>& conditions, ListingQuery& query) {
  const std::vector<std::string> names = FilterNames(columns);
  if (std::find(names.begin(), names.end(), key) == names.end()) {
    const std::optional<std::string> nearest = NearestName(key, names);
    return absl::InvalidArgumentError(
        absl::StrCat("unknown filter ", Quoted(key),
                     nearest ? absl::StrCat("; did you mean \"", *nearest, "\"?") : ".",
                     " Filters here: ", absl::StrJoin(names, ", ")));
  }
  const bool hidden = std::find(columns.begin(), columns.end(), key) == columns.end();
  const std::string column = hidden ? absl::StrCat("_", key) : key;
  if (key == "experiment") {
    query.checks.push_back({kExperimentExists, text, NoSuch("experiment", text)});
    AddCondition(conditions, query, "experiment = " JF_EXPERIMENT, text);
    return absl::OkStatus();
  }
  if (column == "_job" || column == "job_id") {
    query.checks.push_back({kJobExists, text, NoSuch("job", text)});
  }
  const absl::StatusOr<std::string> meant = MeantWord(listing, key, text);
  if (!meant.ok()) return meant.status();
  absl::StatusOr<BoundValue> value = ParseValue(key, KindOf(column), *meant);
  if (!value.ok()) return value.status();
  AddCondition(conditions, query, absl::StrCat(Column(column), " = ?"), *value);
  return absl::OkStatus();
}

#undef JF_EXPERIMENT

}  // namespace

absl::StatusOr<std::string> ListingSource(v1::Listing listing) {
  const ListingSpec* spec = FindSpec(listing);
  if (spec == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("there is no listing number ",
                                                   static_cast<int>(listing),
                                                   ": the caller is newer than this program"));
  }
  return WrittenOut(spec->source);
}

absl::StatusOr<ListingQuery> BuildListing(const v1::ListRequest& request,
                                          const std::vector<std::string>& columns) {
  const ListingSpec* spec = FindSpec(request.listing());
  if (spec == nullptr) return ListingSource(request.listing()).status();
  ListingQuery query;
  std::vector<std::string> shown;
  for (const std::string& column : columns) {
    if (absl::StartsWith(column, "_")) continue;
    shown.push_back(Column(column));
    query.kinds.push_back(KindOf(column));
  }
  std::vector<std::string> conditions;
  if (request.has_id()) {
    query.checks.push_back({spec->id_exists, request.id(), NoSuch(spec->noun, request.id())});
    AddCondition(conditions, query, spec->id_condition, request.id());
  }
  // In a fixed order: the request's map has none.
  const std::map<std::string, std::string> filters(request.filters().begin(),
                                                   request.filters().end());
  for (const auto& [key, text] : filters) {
    const absl::Status added = AddFilter(request.listing(), key, text, columns, conditions, query);
    if (!added.ok()) return added;
  }
  if (request.listing() == v1::LISTING_LOGS && !request.has_id() && filters.count("job") == 0) {
    return absl::InvalidArgumentError("logs are of one job: say which with the filter job=ID");
  }
  if (request.limit() < 0) {
    return absl::InvalidArgumentError(absl::StrCat("limit is ", request.limit(), "; 0 is all"));
  }
  if (request.offset() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("offset is ", request.offset(), "; it is how many rows to leave out"));
  }
  std::string part;
  if (request.limit() > 0 || request.offset() > 0)
    part = absl::StrCat(" LIMIT ", request.limit() > 0 ? request.limit() : -1);
  if (request.offset() > 0) absl::StrAppend(&part, " OFFSET ", request.offset());
  query.sql = absl::StrCat("SELECT ", absl::StrJoin(shown, ", "), " FROM (",
                           WrittenOut(spec->source), ")", conditions.empty() ? "" : " WHERE ",
                           absl::StrJoin(conditions, " AND "), " ORDER BY ", spec->order, part);
  return query;
}

}  // namespace joulefarm::controller
