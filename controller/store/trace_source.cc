#include "controller/store/trace_source.h"

#include <sqlite3.h>

#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/suggest.h"
#include "common/text/no_such.h"
#include "controller/store/sqlite_status.h"
#include "controller/store/table_writer.h"

namespace joulefarm::controller {
namespace {

using Argument = std::variant<std::string, std::int64_t>;
// Columns as text, absent for NULL.
using TextRow = std::vector<std::optional<std::string>>;

absl::StatusOr<std::vector<TextRow>> Rows(sqlite3* handle, const char* sql,
                                          const Argument& argument) {
  sqlite3_stmt* raw = nullptr;
  int code = sqlite3_prepare_v2(handle, sql, -1, &raw, nullptr);
  const StatementPtr statement(raw);
  std::vector<TextRow> rows;
  if (code == SQLITE_OK) {
    if (const auto* text = std::get_if<std::string>(&argument)) {
      sqlite3_bind_text64(raw, 1, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
    } else {
      sqlite3_bind_int64(raw, 1, std::get<std::int64_t>(argument));
    }
    while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
      TextRow row;
      for (int i = 0; i < sqlite3_column_count(raw); ++i) {
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, i));
        row.push_back(text == nullptr ? std::nullopt : std::optional<std::string>(text));
      }
      rows.push_back(std::move(row));
    }
  }
  if (code == SQLITE_OK || code == SQLITE_DONE) return rows;
  return SqliteStatus(code, "cannot read the database", sqlite3_errmsg(handle));
}

std::int64_t Number(const std::optional<std::string>& text) {
  std::int64_t number = 0;
  return text && absl::SimpleAtoi(*text, &number) ? number : 0;
}

// The attempt that is meant, of a job that exists.
absl::StatusOr<std::int64_t> AttemptOfJob(sqlite3* handle, const std::string& job,
                                          std::optional<std::int64_t> wanted) {
  const auto jobs = Rows(handle, "SELECT state, accepted_fence FROM job WHERE id = ?1", job);
  if (!jobs.ok()) return jobs.status();
  if (jobs->empty()) return absl::NotFoundError(NoSuch("job", job));
  const auto attempts =
      Rows(handle, "SELECT fence FROM attempt WHERE job_id = ?1 ORDER BY fence", job);
  if (!attempts.ok()) return attempts.status();
  if (attempts->empty()) {
    return absl::NotFoundError(absl::StrCat(job, " is ", jobs->front()[0].value_or("unknown"),
                                            " and was never given to a device: it has no trace"));
  }
  if (!wanted) return Number(jobs->front()[1] ? jobs->front()[1] : attempts->back()[0]);
  std::vector<std::string> known;
  for (const TextRow& row : *attempts) {
    if (Number(row[0]) == *wanted) return *wanted;
    known.push_back(row[0].value_or(""));
  }
  return absl::NotFoundError(
      absl::StrCat(job, " has no attempt ", *wanted, "; it has ", absl::StrJoin(known, ", ")));
}

}  // namespace

absl::StatusOr<TraceSource> FindTrace(sqlite3* handle, const v1::GetTraceRequest& request) {
  TraceSource found;
  const std::optional<std::int64_t> wanted =
      request.has_attempt() ? std::optional<std::int64_t>(request.attempt()) : std::nullopt;
  if (!request.job().empty()) {
    const absl::StatusOr<std::int64_t> attempt = AttemptOfJob(handle, request.job(), wanted);
    if (!attempt.ok()) return attempt.status();
    found.attempt = *attempt;
  } else if (wanted) {
    found.attempt = *wanted;
  } else {
    return absl::InvalidArgumentError("a trace is of one job or attempt: say which");
  }
  const auto attempts =
      Rows(handle, "SELECT job_id, state FROM attempt WHERE fence = ?1", found.attempt);
  if (!attempts.ok()) return attempts.status();
  if (attempts->empty())
    return absl::NotFoundError(absl::StrCat("there is no attempt ", found.attempt));
  const std::string what = absl::StrCat("attempt ", found.attempt, " of ",
                                        attempts->front()[0].value_or("an unknown job"), " (",
                                        attempts->front()[1].value_or(""), ")");
  const auto channels = Rows(
      handle,
      "SELECT name, source, is_primary FROM channel WHERE attempt = ?1 ORDER BY source, seq, idx",
      found.attempt);
  if (!channels.ok()) return channels.status();
  if (channels->empty())
    return absl::NotFoundError(absl::StrCat(what, " recorded no channel: it has no trace"));
  std::vector<std::string> names;
  const TextRow* best = nullptr;
  for (const TextRow& row : *channels) {
    const std::string name = row[0].value_or("");
    const bool primary = Number(row[2]) != 0;
    names.push_back(name);
    if (request.channel().empty() ? !primary : name != request.channel()) continue;
    if (best == nullptr || primary) best = &row;
  }
  if (best == nullptr && request.channel().empty()) {
    return absl::NotFoundError(absl::StrCat(
        what, " measured no power or energy; name another channel: ", absl::StrJoin(names, ", ")));
  }
  if (best == nullptr) {
    return absl::NotFoundError(absl::StrCat(what, " has no channel ", Quoted(request.channel()),
                                            Suggestion(request.channel(), names, "channels")));
  }
  found.channel = (*best)[0].value_or("");
  found.source = Number((*best)[1]);
  return found;
}

}  // namespace joulefarm::controller
