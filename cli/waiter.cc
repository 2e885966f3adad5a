// Polling the progress and showing it, until every job ended or nobody wants to wait.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/output/text.h"
#include "cli/run_counts.h"
#include "cli/view/progress.h"
#include "cli/view/run_values.h"
#include "cli/view/watch_view.h"
#include "cli/wait.h"
#include "cli/wait_reason.h"

namespace joulefarm::cli {
namespace {

// How long a device that works may say nothing before it is said that it says nothing.
constexpr auto kSilence = std::chrono::seconds(6);
constexpr int kMostStill = 48;

// The progress of several jobs as one.
void Add(const v1::GetProgressResponse& one, v1::GetProgressResponse& all) {
  const bool first = all.jobs() == 0;
  if (first) all.set_experiment(one.experiment());
  if (all.experiment() != one.experiment()) all.clear_experiment();
  all.set_done(one.done() && (first || all.done()));
  all.set_jobs(all.jobs() + one.jobs());
  all.set_queued(all.queued() + one.queued());
  all.set_active(all.active() + one.active());
  all.set_succeeded(all.succeeded() + one.succeeded());
  all.set_failed(all.failed() + one.failed());
  all.set_canceled(all.canceled() + one.canceled());
  all.mutable_active_jobs()->MergeFrom(one.active_jobs());
  all.mutable_failures()->MergeFrom(one.failures());
}

std::string TitleOf(const std::vector<std::string>& jobs) {
  constexpr std::size_t kMost = 3;
  if (jobs.size() <= kMost) return absl::StrJoin(jobs, ", ");
  return absl::StrCat(absl::StrJoin(jobs.begin(), jobs.begin() + kMost, ", "), " and ",
                      jobs.size() - kMost, " more");
}

// One wait: what it shows and how long it may last.
class Waiter {
 public:
  Waiter(Session& session, FarmClient& client, const WaitOptions& options)
      : console_(session.console()),
        client_(client),
        options_(options),
        display_(console_.err),
        run_counts_(client, options.jobs),
        wait_reason_(client, options.jobs),
        start_(console_.now()) {}

  absl::StatusOr<WaitResult> Run() {
    console_.catch_interrupt();
    WaitResult result;
    result.progress.set_experiment(options_.experiment);
    for (;;) {
      const auto progress = Ask();
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
  absl::StatusOr<v1::GetProgressResponse> Ask() {
    v1::GetProgressRequest request;
    request.set_watch(options_.watch);
    request.set_experiment(options_.experiment);
    if (options_.jobs.empty()) return client_.GetProgress(request);
    v1::GetProgressResponse all;
    for (const std::string& job : options_.jobs) {
      request.set_job(job);
      const auto one = client_.GetProgress(request);
      if (!one.ok()) return one.status();
      Add(*one, all);
    }
    all.set_name(TitleOf(options_.jobs));
    return all;
  }

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
    wait_reason_.Refresh(result.progress, console_.now());
    if (options_.watch) {
      ShowWatched(result);
    } else {
      ShowCounted(result);
    }
  }

  void ShowCounted(const WaitResult& result) {
    const v1::GetProgressResponse& progress = result.progress;
    estimator_.Observe(result.elapsed, cli::Ended(progress), progress.jobs());
    if (console_.err_is_terminal) {
      Show(
          ProgressLines({progress, options_.scope, result.elapsed, estimator_.Left(result.elapsed)},
                        console_.LookOfErr()));
      return;
    }
    PrintCounts(result);
  }

  // The picture, and below it why nothing happens.
  void Show(std::vector<std::string> lines) {
    const Look look = console_.LookOfErr();
    const std::string& why = wait_reason_.line();
    if (!why.empty())
      lines.push_back(Styled(Clip(absl::StrCat("  ", why), look.Columns()), Style::kWarn, look));
    display_.Show(lines, console_.width());
  }

  void PrintCounts(const WaitResult& result) {
    // Without the clock, so that only a change of the counts makes a line.
    const std::string counts = ProgressLine(result.progress, {});
    if (counts != std::exchange(last_counts_, counts))
      console_.err << ProgressLine(result.progress, result.elapsed) << std::endl;
    const std::string& why = wait_reason_.line();
    if (why != std::exchange(last_why_, why) && !why.empty())
      console_.err << Clock(result.elapsed) << "  " << why << std::endl;
  }

  void ShowWatched(const WaitResult& result) {
    const v1::GetProgressResponse& progress = result.progress;
    if (!console_.err_is_terminal) {
      PrintCounts(result);
      PrintDoings(result);
      return;
    }
    run_counts_.Refresh(progress, console_.now());
    if (run_counts_.total() > 0) {
      estimator_.Observe(result.elapsed, run_counts_.done(), run_counts_.total());
    }
    std::chrono::nanoseconds elapsed = result.elapsed;
    if (options_.watched == Watched::kFromLater && options_.jobs.empty())
      elapsed += run_counts_.age_at_start().value_or(std::chrono::nanoseconds(0));
    WatchPicture picture{{progress, options_.scope, elapsed, estimator_.Left(result.elapsed)},
                         run_counts_.runs(),
                         Silent(progress)};
    picture.cells = Cells(progress);
    // Room for the headline, the counts, why jobs wait, and the prompt that comes after.
    if (console_.height() > 0) picture.most_devices = std::clamp(console_.height() - 5, 1, 40);
    // A text somewhat shorter than one before keeps its room.
    least_doing_ = std::max(least_doing_, std::min(DoingWidth(picture), kMostStill));
    picture.least_doing = least_doing_;
    Show(WatchLines(picture, console_.LookOfErr()));
  }

  // A line whenever a job goes on, with what its device does at that moment.
  void PrintDoings(const WaitResult& result) {
    std::map<std::string, std::string> doings;
    for (const v1::ActiveJob& job : result.progress.active_jobs()) {
      const std::string doing = absl::StrCat(job.state(), " ", job.detail());
      doings[job.job()] = doing;
      const auto before = last_doings_.find(job.job());
      if (before != last_doings_.end() && before->second == doing) continue;
      console_.err << Clock(result.elapsed) << "  " << ActiveJobLine(job, Cells(result.progress))
                   << std::endl;
    }
    last_doings_ = std::move(doings);
  }

  // Cells by the factors that differ; all of an experiment's cells are asked for once.
  const std::map<std::string, std::string>& Cells(const v1::GetProgressResponse& progress) {
    if (cells_) return *cells_;
    std::vector<std::string> cells = options_.cell_order;
    if (cells.empty()) cells = run_counts_.Cells(progress);
    cells_ = cells.size() > 1 ? ShortCells(cells) : std::map<std::string, std::string>();
    return *cells_;
  }

  std::set<std::string> Silent(const v1::GetProgressResponse& progress) {
    std::map<std::string, std::chrono::steady_clock::time_point> since;
    std::set<std::string> silent;
    for (const v1::ActiveJob& job : progress.active_jobs()) {
      if (job.has_telemetry()) continue;
      const auto before = silent_since_.find(job.device_id());
      const auto from = before == silent_since_.end() ? console_.now() : before->second;
      since[job.device_id()] = from;
      if (console_.now() - from >= kSilence) silent.insert(job.device_id());
    }
    silent_since_ = std::move(since);
    return silent;
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

  Console& console_;
  FarmClient& client_;
  const WaitOptions& options_;
  LiveDisplay display_;
  RunCounts run_counts_;
  WaitReason wait_reason_;
  Estimator estimator_;
  std::map<std::string, std::chrono::steady_clock::time_point> silent_since_;
  std::map<std::string, std::string> last_doings_;  // by job
  std::optional<std::map<std::string, std::string>> cells_;
  int least_doing_ = 0;
  std::chrono::steady_clock::time_point start_;
  std::optional<std::chrono::steady_clock::time_point> lost_at_;
  std::string last_counts_;
  std::string last_why_;
};

}  // namespace

absl::StatusOr<WaitResult> WaitForExperiment(Session& session, FarmClient& client,
                                             const WaitOptions& options) {
  return Waiter(session, client, options).Run();
}

}  // namespace joulefarm::cli
