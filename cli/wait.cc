#include "cli/wait.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/output/text.h"
#include "cli/view/progress.h"
#include "cli/view/run_values.h"
#include "cli/view/summary.h"

namespace joulefarm::cli {
namespace {

std::string Jobs(int n) { return absl::StrCat(n, n == 1 ? " job" : " jobs"); }

// A listing of one experiment, tried again while the controller cannot be reached and the time
// allows.
absl::Status Fetch(Session& session, FarmClient& client, v1::Listing listing,
                   const std::string& experiment,
                   std::optional<std::chrono::steady_clock::time_point> deadline, Table& table) {
  Console& console = session.console();
  v1::ListRequest request;
  request.set_listing(listing);
  (*request.mutable_filters())["experiment"] = experiment;
  for (;;) {
    TableCollector collector;
    const absl::Status status = client.List(request, collector);
    if (status.ok()) table = std::move(collector.table());
    if (!IsTransient(status) || console.interrupted()) return status;
    if (deadline && console.now() >= *deadline) return status;
    console.sleep(kPoll);
  }
}

void PrintFailures(Session& session, const v1::GetProgressResponse& progress) {
  const int unsuccessful = progress.failed() + progress.canceled();
  if (unsuccessful == 0) return;
  Console& console = session.console();
  const Look look = console.LookOfOut();
  console.out << '\n'
              << Styled(absl::StrCat(Jobs(unsuccessful), " did not succeed:"), Style::kBad, look)
              << '\n';
  for (const std::string& failure : progress.failures()) {
    const std::string lines = CleanLines(failure);
    std::size_t begin = 0;
    while (begin <= lines.size()) {
      const std::size_t end = std::min(lines.find('\n', begin), lines.size());
      console.out << (begin == 0 ? "  " : "      ") << lines.substr(begin, end - begin) << '\n';
      begin = end + 1;
    }
  }
  const int more = unsuccessful - progress.failures_size();
  if (more > 0) {
    console.out << "  and " << more << " more: "
                << session.Hint(absl::StrCat("job list --experiment ", progress.experiment()))
                << '\n';
  }
  console.out << "Look closer: " << session.Hint("job get JOB") << ", "
              << session.Hint("job logs JOB") << '\n';
}

}  // namespace

int ExitCodeOfProgress(const v1::GetProgressResponse& progress) {
  return progress.succeeded() == progress.jobs() ? kExitOk : kExitJobFailed;
}

int ReportUnfinished(Session& session, const WaitOptions& options, const WaitResult& result) {
  std::ostream& err = session.console().err;
  const v1::GetProgressResponse& progress = result.progress;
  const std::string seen = progress.jobs() == 0 ? ""
                                                : absl::StrCat(" with ", Ended(progress), " of ",
                                                               Jobs(progress.jobs()), " done");
  const bool timeout = result.end == WaitEnd::kTimeout;
  if (timeout) {
    err << "Time-out: stopped watching" << seen << ". The jobs go on.\n";
  } else {
    err << "Detached" << seen << ". The jobs go on.\n";
  }
  std::string again = absl::StrCat("experiment get ", progress.experiment(),
                                   options.watch ? " --watch" : " --wait");
  std::string stop = absl::StrCat("experiment cancel ", progress.experiment());
  if (!options.jobs.empty()) {
    again = absl::StrCat("job watch ", absl::StrJoin(options.jobs, " "));
    stop = absl::StrCat("job cancel ", absl::StrJoin(options.jobs, " "));
  }
  err << "  watch again:  " << session.Hint(again) << "\n  stop them:    " << session.Hint(stop)
      << std::endl;
  return timeout ? kExitTimeout : kExitInterrupted;
}

int WaitForJobsAndReport(Session& session, FarmClient& client, const WaitOptions& options) {
  const absl::StatusOr<WaitResult> result = WaitForExperiment(session, client, options);
  if (!result.ok()) return session.Fail(result.status());
  if (result->end != WaitEnd::kDone) return ReportUnfinished(session, options, *result);
  Console& console = session.console();
  const Look look = console.LookOfOut();
  for (const std::string& id : options.jobs) {
    v1::ListRequest request;
    request.set_listing(v1::LISTING_JOBS);
    request.set_id(id);
    TableCollector collector;
    const absl::Status status = client.List(request, collector);
    if (!status.ok()) return session.Fail(status);
    const Table& table = collector.table();
    if (table.rows.empty()) continue;
    const RowValues& row = table.rows.front();
    const std::string state = TextAt(table, row, "state").value_or("");
    console.out << id << "  " << Styled(OneLine(state), StyleOfWord(state), look) << "  "
                << OneLine(CellWords(TextAt(table, row, "cell").value_or(""))) << " on "
                << OneLine(TextAt(table, row, "device_id").value_or("?")) << '\n';
  }
  PrintFailures(session, result->progress);
  console.out.flush();
  return ExitCodeOfProgress(result->progress);
}

int WaitAndReport(Session& session, FarmClient& client, const WaitOptions& options) {
  const auto start = session.console().now();
  const absl::StatusOr<WaitResult> result = WaitForExperiment(session, client, options);
  if (!result.ok()) return session.Fail(result.status());
  if (result->end != WaitEnd::kDone) return ReportUnfinished(session, options, *result);

  const v1::GetProgressResponse& progress = result->progress;
  Console& console = session.console();
  const Look look = console.LookOfOut();
  std::optional<std::chrono::steady_clock::time_point> deadline;
  if (options.timeout) deadline = start + *options.timeout;
  Table summary;
  Table results;
  absl::Status status =
      Fetch(session, client, v1::LISTING_RESULT_SUMMARY, progress.experiment(), deadline, summary);
  if (status.ok()) {
    status = Fetch(session, client, v1::LISTING_RESULTS, progress.experiment(), deadline, results);
  }
  console.out << Styled(OneLine(progress.name()), Style::kStrong, look) << " ("
              << OneLine(progress.experiment()) << "): " << progress.succeeded() << " of "
              << Jobs(progress.jobs()) << " succeeded";
  if (options.watched == Watched::kFromSubmission) console.out << " in " << Clock(result->elapsed);
  console.out << "\n\n";
  if (status.ok()) {
    RenderSummary(summary, results, options.cell_order, look, console.out);
  }
  PrintFailures(session, progress);
  console.out.flush();
  if (!status.ok()) {
    console.err << "The jobs have ended, but their results could not be listed.\n";
    return session.Fail(status);
  }
  return ExitCodeOfProgress(progress);
}

}  // namespace joulefarm::cli
