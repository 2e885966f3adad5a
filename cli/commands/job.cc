#include <CLI/CLI.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands/commands.h"
#include "cli/output/text.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {
namespace {

int RunCancel(Session& session, const std::vector<std::string>& ids) {
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  int exit = kExitOk;
  for (const std::string& id : ids) {
    const auto response = (*client)->CancelJob(id);
    if (!response.ok()) {
      exit = session.Fail(response.status());
    } else {
      session.console().out << id << ": " << OneLine(response->state()) << '\n';
    }
  }
  return exit;
}

// Prints log rows as lines: seconds since the attempt's first line, source, text; a heading where
// another attempt begins.
class LogPrinter : public TableSink {
 public:
  explicit LogPrinter(std::ostream& out, const Look& look) : out_(out), look_(look) {}
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
    ++rows_;
  }
  void End() override {}
  bool WantsMore() const override { return out_.good(); }
  int rows() const { return rows_; }

 private:
  std::ostream& out_;
  Look look_;
  Table table_;
  std::string attempt_;
  double first_ns_ = 0;
  int rows_ = 0;
};

int RunLogs(Session& session, const std::string& job, const std::string& format,
            std::int64_t limit) {
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  v1::ListRequest request;
  request.set_listing(v1::LISTING_LOGS);
  request.set_id(job);
  request.set_limit(limit);
  Console& console = session.console();
  const Format parsed = ParseFormat(format).value_or(Format::kTable);
  if (parsed != Format::kTable && parsed != Format::kName) {
    auto printer = MakeMachinePrinter(parsed, console.out);
    if (printer == nullptr) printer = MakeWidePrinter(console.out, console.LookOfOut());
    const absl::Status status = (*client)->List(request, *printer);
    return status.ok() ? kExitOk : session.Fail(status);
  }
  LogPrinter printer(console.out, console.LookOfOut());
  const absl::Status status = (*client)->List(request, printer);
  if (!status.ok()) return session.Fail(status);
  if (printer.rows() == 0) console.err << "No log lines yet." << std::endl;
  return kExitOk;
}

void AddLogs(CLI::App& group, Session& session) {
  auto id = std::make_shared<std::string>();
  auto format = std::make_shared<std::string>("table");
  auto limit = std::make_shared<std::int64_t>(0);
  CLI::App* logs = AddCommand(group, "logs", "What the agent and the engine said while the job ran",
                              "  joulefarm job logs job-7\n"
                              "  joulefarm job logs job-7 -o jsonl");
  logs->add_option("JOB", *id, "job id")->required();
  AddFormat(*logs, *format);
  logs->add_option("--limit", *limit, "at most N lines; 0 for all")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("N")
      ->default_str("0");
  logs->callback([=, &session] {
    session.action = [=, &session] { return RunLogs(session, *id, *format, *limit); };
  });
}

}  // namespace

Listing JobListing() { return {v1::LISTING_JOBS, "jobs", JobView}; }

void AddJob(CLI::App& app, Session& session) {
  CLI::App* group = AddGroup(app, "job", "One cell of an experiment on one device",
                             "  joulefarm job list --experiment exp-1 --state FAILED\n"
                             "  joulefarm job logs job-7\n"
                             "  joulefarm job cancel job-7");
  group->group("Running experiments");

  auto options = std::make_shared<ListingOptions>();
  CLI::App* list = AddCommand(*group, "list", "List jobs, newest first, finished ones included",
                              "  joulefarm job list --experiment exp-1 --state FAILED\n"
                              "  joulefarm job list --device edge-7f3a --limit 20 -o json");
  AddListingOptions(*list, *options);
  list->add_option("--experiment", options->named["experiment"], "of this experiment")
      ->type_name("EXPERIMENT");
  list->add_option("--state", options->named["state"],
                   "QUEUED, HELD, ACTIVE, CANCELING, SUCCEEDED, FAILED, CANCELED or EXPIRED")
      ->type_name("STATE");
  list->add_option("--device", options->named["device_id"], "on this device")->type_name("DEVICE");
  list->callback([options, &session] {
    std::string& state = options->named["state"];
    absl::AsciiStrToUpper(&state);
    session.action = [options, &session] { return RunListing(session, JobListing(), *options); };
  });

  auto id = std::make_shared<std::string>();
  auto format = std::make_shared<std::string>("table");
  CLI::App* get = AddCommand(*group, "get",
                             "Everything known about one job, with the whole reason of a failure",
                             "  joulefarm job get job-7");
  get->add_option("JOB", *id, "job id")->required();
  AddFormat(*get, *format);
  get->callback([=, &session] {
    session.action = [=, &session] { return RunGet(session, JobListing(), *id, *format); };
  });

  auto ids = std::make_shared<std::vector<std::string>>();
  CLI::App* cancel = AddCommand(*group, "cancel", "Cancel jobs; one that has ended stays as it is",
                                "  joulefarm job cancel job-7 job-8");
  cancel->add_option("JOB", *ids, "job ids")->required();
  cancel->callback(
      [=, &session] { session.action = [=, &session] { return RunCancel(session, *ids); }; });

  AddLogs(*group, session);
}

}  // namespace joulefarm::cli
