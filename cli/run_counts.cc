#include "cli/run_counts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/view/progress.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {
namespace {

// Between two looks: what a big experiment may cost the controller stays small.
constexpr std::chrono::seconds kPause{2};
constexpr std::chrono::seconds kLongPause{10};

std::string Literal(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "''"}}), "'");
}

// What makes runs end.
std::string Seen(const v1::GetProgressResponse& progress) {
  std::string seen = absl::StrCat(Ended(progress));
  for (const v1::ActiveJob& job : progress.active_jobs())
    absl::StrAppend(&seen, "\n", job.job(), " ", job.state(), " ", job.detail());
  return seen;
}

}  // namespace

RunCounts::RunCounts(FarmClient& client, std::vector<std::string> jobs)
    : client_(client), jobs_(std::move(jobs)) {}

std::string RunCounts::Which(const v1::GetProgressResponse& progress) const {
  if (jobs_.empty()) {
    // By its id: the experiment may have been asked for by a name.
    return absl::StrCat("experiment = ", Literal(progress.experiment()));
  }
  std::vector<std::string> ids;
  for (const std::string& id : jobs_) ids.push_back(Literal(id));
  return absl::StrCat("id IN (", absl::StrJoin(ids, ", "), ")");
}

std::vector<std::string> RunCounts::Cells(const v1::GetProgressResponse& progress) {
  TableCollector collector;
  std::vector<std::string> cells;
  if (!client_
           .Sql(absl::StrCat("SELECT cell FROM job WHERE ", Which(progress),
                             " GROUP BY cell ORDER BY min(number) LIMIT 1000"),
                collector)
           .ok()) {
    return cells;
  }
  for (const RowValues& row : collector.table().rows) {
    if (const auto cell = TextAt(collector.table(), row, "cell")) cells.push_back(*cell);
  }
  return cells;
}

void RunCounts::Refresh(const v1::GetProgressResponse& progress,
                        std::chrono::steady_clock::time_point now) {
  const std::string seen = Seen(progress);
  // Also without news: an agent that goes away changes no count.
  if (looked_ && now - *looked_ < (seen == seen_ ? kLongPause : kPause)) return;
  looked_ = now;
  TableCollector collector;
  const std::string query = absl::StrCat(
      "SELECT device_id, sum(CASE WHEN state IN ('SUCCEEDED', 'FAILED', 'CANCELED', 'EXPIRED') "
      "THEN repetitions ELSE (SELECT count(*) FROM run WHERE run.attempt = job.live_fence AND "
      "warmup = 0 AND end_ns IS NOT NULL) END) AS done, sum(repetitions) AS total, "
      "(SELECT link FROM device WHERE device.id = job.device_id) AS link, "
      "strftime('%s', 'now') * 1.0 - min(submitted_wall_ns) / 1e9 AS age_s "
      "FROM job WHERE ",
      Which(progress), " GROUP BY device_id ORDER BY device_id");
  if (!client_.Sql(query, collector).ok()) return;
  seen_ = seen;
  runs_.clear();
  const Table& table = collector.table();
  double age_s = 0;
  for (const RowValues& row : table.rows) {
    const auto device = TextAt(table, row, "device_id");
    if (!device) continue;
    runs_.push_back({*device, static_cast<int>(RealAt(table, row, "done").value_or(0)),
                     static_cast<int>(RealAt(table, row, "total").value_or(0)),
                     TextAt(table, row, "link").value_or("")});
    age_s = std::max(age_s, RealAt(table, row, "age_s").value_or(0));
  }
  if (!age_ && !runs_.empty()) {
    age_ = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(std::max(0.0, age_s)));
  }
}

int RunCounts::done() const {
  int done = 0;
  for (const DeviceRuns& device : runs_) done += device.done;
  return done;
}

int RunCounts::total() const {
  int total = 0;
  for (const DeviceRuns& device : runs_) total += device.total;
  return total;
}

}  // namespace joulefarm::cli
