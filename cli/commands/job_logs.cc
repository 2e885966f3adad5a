#include <CLI/App.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands/commands.h"
#include "cli/output/text.h"
#include "cli/view/progress.h"
#include "cli/view/run_values.h"
#include "cli/wait.h"

namespace joulefarm::cli {
namespace {

constexpr char kEndedWithout[] = "The job ended without a log line.";

struct LogOptions {
  std::string job;
  std::string format = "table";
  std::int64_t limit = 0;
  bool follow = false;
};

// Prints log rows as lines: seconds since the attempt's first line, source, text; a heading where
// another attempt begins. Takes several tables, one after the other.
class LogPrinter : public TableSink {
 public:
  LogPrinter(std::ostream& out, const Look& look) : out_(out), look_(look) {}
  void Begin(const std::vector<Column>& columns) override { table_.columns = columns; }
  void Row(const RowValues& row) override {
    const std::string attempt = PlainText(table_.At(row, "attempt"));
    if (attempt != attempt_) {
      out_ << Styled(absl::StrCat("attempt ", attempt), Style::kStrong, look_) << '\n';
      attempt_ = attempt;
      first_ns_ = RealAt(table_, row, "t_ns").value_or(0);
    }
    std::string prefix;
    if (const auto time = RealAt(table_, row, "t_ns"))
      prefix = absl::StrFormat("%9.3f  ", (*time - first_ns_) / 1e9);
    if (const auto source = TextAt(table_, row, "source"))
      absl::StrAppendFormat(&prefix, "%-6s  ", OneLine(*source));
    const std::string text = PlainText(table_.At(row, "text"));
    out_ << Styled(prefix, Style::kDim, look_) << OneLine(text) << '\n';
  }
  void End() override {}
  bool WantsMore() const override { return out_.good(); }

 private:
  std::ostream& out_;
  Look look_;
  Table table_;
  std::string attempt_;
  double first_ns_ = 0;
};

// Rows of several tables into one sink, counted.
class OneTable : public TableSink {
 public:
  explicit OneTable(TableSink& sink) : sink_(sink) {}
  void Begin(const std::vector<Column>& columns) override {
    if (!std::exchange(begun_, true)) sink_.Begin(columns);
  }
  void Row(const RowValues& row) override {
    sink_.Row(row);
    ++rows_;
  }
  void End() override {}
  bool WantsMore() const override { return sink_.WantsMore(); }
  std::int64_t rows() const { return rows_; }

 private:
  TableSink& sink_;
  bool begun_ = false;
  std::int64_t rows_ = 0;
};

// One log, from its first line to its last, while it grows.
class Follower {
 public:
  Follower(Session& session, FarmClient& client, const LogOptions& options, TableSink& sink)
      : session_(session),
        console_(session.console()),
        client_(client),
        options_(options),
        sink_(sink) {}

  int Run() {
    console_.catch_interrupt();
    while (sink_.WantsMore()) {
      // Asked before the log is read: what is read after the end is all there is.
      v1::GetProgressRequest request;
      request.set_job(options_.job);
      const auto progress = client_.GetProgress(request);
      absl::Status status = progress.status();
      if (status.ok()) status = Read();
      if (console_.interrupted()) return kExitInterrupted;
      if (status.ok()) {
        Reached();
        if (progress->done()) return Ended(*progress);
      } else if (IsTransient(status)) {
        Lost(status);
      } else {
        return session_.Fail(status);
      }
      console_.sleep(kPoll);
      if (console_.interrupted()) return kExitInterrupted;
    }
    return kExitOk;
  }

 private:
  absl::Status Read() {
    v1::ListRequest request;
    request.set_listing(v1::LISTING_LOGS);
    request.set_id(options_.job);
    request.set_offset(sink_.rows());
    const absl::Status status = client_.List(request, sink_);
    console_.out.flush();
    return status;
  }

  int Ended(const v1::GetProgressResponse& progress) {
    if (sink_.rows() == 0) console_.err << kEndedWithout << std::endl;
    if (console_.err_is_terminal) {
      console_.err << options_.job
                   << (progress.succeeded() > 0 ? " succeeded." : " did not succeed.") << std::endl;
    }
    return kExitOk;
  }

  void Reached() {
    if (!lost_at_) return;
    console_.err << "The controller answers again after " << Clock(console_.now() - *lost_at_)
                 << "." << std::endl;
    lost_at_.reset();
  }

  void Lost(const absl::Status& status) {
    if (lost_at_) return;
    lost_at_ = console_.now();
    console_.err << "The controller at " << client_.address() << " cannot be reached ("
                 << OneLine(absl::string_view(status.message()))
                 << "). The job goes on; trying again until it answers." << std::endl;
  }

  Session& session_;
  Console& console_;
  FarmClient& client_;
  const LogOptions& options_;
  OneTable sink_;
  std::optional<std::chrono::steady_clock::time_point> lost_at_;
};

// Says whether lines may still come. A job may have ended since it was asked for its log: what is
// read after the end is all there is.
int NoLines(Session& session, FarmClient& client, const v1::ListRequest& log, OneTable& sink) {
  v1::GetProgressRequest request;
  request.set_job(log.id());
  const auto progress = client.GetProgress(request);
  if (!progress.ok()) return session.Fail(progress.status());
  if (progress->done()) {
    const absl::Status status = client.List(log, sink);
    if (!status.ok()) return session.Fail(status);
    if (sink.rows() > 0) return kExitOk;
  }
  session.console().err << (progress->done() ? kEndedWithout : "No log lines yet.") << std::endl;
  return kExitOk;
}

int RunLogs(Session& session, const LogOptions& options) {
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  Console& console = session.console();
  const Format parsed = ParseFormat(options.format).value_or(Format::kTable);
  const bool lines = parsed == Format::kTable || parsed == Format::kName;
  if (options.follow && !lines && parsed != Format::kJsonLines && parsed != Format::kCsv) {
    return session.FailUsage(
        absl::StrCat("-f prints a log that grows: as table, jsonl or csv, not ", options.format));
  }
  std::unique_ptr<TableSink> printer;
  if (lines) {
    printer = std::make_unique<LogPrinter>(console.out, console.LookOfOut());
  } else {
    printer = MakeMachinePrinter(parsed, console.out);
  }
  if (printer == nullptr) printer = MakeWidePrinter(console.out, console.LookOfOut());
  if (options.follow) return Follower(session, **client, options, *printer).Run();

  v1::ListRequest request;
  request.set_listing(v1::LISTING_LOGS);
  request.set_id(options.job);
  request.set_limit(options.limit);
  if (!lines) {
    const absl::Status status = (*client)->List(request, *printer);
    return status.ok() ? kExitOk : session.Fail(status);
  }
  OneTable counting(*printer);
  const absl::Status status = (*client)->List(request, counting);
  if (!status.ok()) return session.Fail(status);
  return counting.rows() > 0 ? kExitOk : NoLines(session, **client, request, counting);
}

}  // namespace

void AddJobLogs(CLI::App& group, Session& session) {
  auto options = std::make_shared<LogOptions>();
  CLI::App* logs = AddCommand(group, "logs", "What the agent and the engine said while the job ran",
                              "  joulefarm job logs job-7\n"
                              "  joulefarm job logs job-7 -f\n"
                              "  joulefarm job logs job-7 -o jsonl",
                              "With -f it goes on until the job has ended, also over a restart of "
                              "the controller; Ctrl-C only stops reading.");
  logs->add_option("JOB", options->job, "job id")->required();
  CLI::Option* follow =
      logs->add_flag("-f,--follow", options->follow, "print what comes, until the job has ended");
  AddFormat(*logs, options->format);
  logs->add_option("--limit", options->limit, "at most N lines; 0 for all")
      ->check(WholeNumber(0))
      ->type_name("N")
      ->default_str("0")
      ->excludes(follow);
  logs->callback(
      [=, &session] { session.action = [=, &session] { return RunLogs(session, *options); }; });
}

}  // namespace joulefarm::cli
