#include "cli/wait.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/output/text.h"
#include "cli/view/progress.h"
#include "cli/view/summary.h"

namespace joulefarm::cli {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(500);

std::string Jobs(int n) { return absl::StrCat(n, n == 1 ? " job" : " jobs"); }

// One wait: what it shows and how long it may last.
class Waiter {
 public:
  Waiter(Session& session, FarmClient& client, const WaitOptions& options)
      : session_(session),
        console_(session.console()),
        client_(client),
        options_(options),
        display_(console_.err),
        start_(console_.now()) {}

  absl::StatusOr<WaitResult> Run() {
    console_.catch_interrupt();
    WaitResult result;
    result.progress.set_experiment(options_.experiment);
    for (;;) {
      const auto progress = client_.GetProgress(options_.experiment);
      result.elapsed = console_.now() - start_;
      if (console_.interrupted()) return Ended(result, WaitEnd::kInterrupted);
      if (progress.ok()) {
        result.progress = *progress;
        Reached(result);
        if (progress->done()) return Ended(result, WaitEnd::kDone);
      } else if (IsTransient(progress.status())) {
        Lost(progress.status());
      } else {
        display_.Clear();
        return progress.status();
      }
      if (options_.timeout && result.elapsed >= *options_.timeout)
        return Ended(result, WaitEnd::kTimeout);
      Sleep(result.elapsed);
      if (console_.interrupted()) return Ended(result, WaitEnd::kInterrupted);
    }
  }

 private:
  WaitResult& Ended(WaitResult& result, WaitEnd end) {
    display_.Clear();
    result.end = end;
    result.elapsed = console_.now() - start_;
    return result;
  }

  void Sleep(std::chrono::nanoseconds elapsed) {
    std::chrono::nanoseconds pause = kPoll;
    if (options_.timeout) pause = std::min(pause, *options_.timeout - elapsed);
    console_.sleep(std::max(pause, std::chrono::nanoseconds(1)));
  }

  void Reached(const WaitResult& result) {
    if (lost_at_) {
      Say(absl::StrCat("The controller answers again after ", Clock(console_.now() - *lost_at_),
                       "."));
      lost_at_.reset();
    }
    const v1::GetProgressResponse& progress = result.progress;
    estimator_.Observe(result.elapsed, progress.succeeded() + progress.failed(), progress.jobs());
    if (console_.err_is_terminal) {
      display_.Show(
          ProgressLines({progress, options_.scope, result.elapsed, estimator_.Left(result.elapsed)},
                        console_.LookOfErr()));
      return;
    }
    // Without the clock, so that only a change of the counts makes a line.
    const std::string counts = ProgressLine(progress, {});
    if (counts == last_counts_) return;
    last_counts_ = counts;
    console_.err << ProgressLine(progress, result.elapsed) << std::endl;
  }

  void Lost(const absl::Status& status) {
    if (lost_at_) return;
    lost_at_ = console_.now();
    Say(absl::StrCat("The controller at ", client_.address(), " cannot be reached (",
                     OneLine(absl::string_view(status.message())),
                     "). Jobs that run go on; trying again until it answers."));
  }

  void Say(const std::string& line) {
    display_.Clear();
    console_.err << line << std::endl;
  }

  Session& session_;
  Console& console_;
  FarmClient& client_;
  const WaitOptions& options_;
  LiveDisplay display_;
  Estimator estimator_;
  std::chrono::steady_clock::time_point start_;
  std::optional<std::chrono::steady_clock::time_point> lost_at_;
  std::string last_counts_;
};

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
  if (progress.failed() == 0) return;
  Console& console = session.console();
  const Look look = console.LookOfOut();
  console.out << '\n'
              << Styled(absl::StrCat(Jobs(progress.failed()), " did not succeed:"), Style::kBad,
                        look)
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
  const int more = progress.failed() - progress.failures_size();
  if (more > 0) {
    console.out << "  and " << more << " more: "
                << session.Hint(absl::StrCat("job list --experiment ", progress.experiment()))
                << '\n';
  }
  console.out << "Look closer: " << session.Hint("job get JOB") << ", "
              << session.Hint("job logs JOB") << '\n';
}

}  // namespace

absl::StatusOr<WaitResult> WaitForExperiment(Session& session, FarmClient& client,
                                             const WaitOptions& options) {
  return Waiter(session, client, options).Run();
}

int ExitCodeOfProgress(const v1::GetProgressResponse& progress) {
  return progress.failed() == 0 && progress.succeeded() == progress.jobs() ? kExitOk
                                                                           : kExitJobFailed;
}

int ReportUnfinished(Session& session, const WaitResult& result) {
  std::ostream& err = session.console().err;
  const v1::GetProgressResponse& progress = result.progress;
  const std::string seen = progress.jobs() == 0
                               ? ""
                               : absl::StrCat(" with ", progress.succeeded() + progress.failed(),
                                              " of ", Jobs(progress.jobs()), " done");
  const bool timeout = result.end == WaitEnd::kTimeout;
  if (timeout) {
    err << "Time-out: stopped watching" << seen << ". The jobs go on.\n";
  } else {
    err << "Detached" << seen << ". The jobs go on.\n";
  }
  err << "  watch again:  "
      << session.Hint(absl::StrCat("experiment get ", progress.experiment(), " --wait"))
      << "\n  stop them:    "
      << session.Hint(absl::StrCat("experiment cancel ", progress.experiment())) << std::endl;
  return timeout ? kExitTimeout : kExitInterrupted;
}

int WaitAndReport(Session& session, FarmClient& client, const WaitOptions& options) {
  const auto start = session.console().now();
  const absl::StatusOr<WaitResult> result = WaitForExperiment(session, client, options);
  if (!result.ok()) return session.Fail(result.status());
  if (result->end != WaitEnd::kDone) return ReportUnfinished(session, *result);

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
