#include <CLI/App.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands/commands.h"
#include "cli/output/json.h"
#include "cli/output/text.h"
#include "cli/wait.h"
#include "common/config/duration.h"

namespace joulefarm::cli {
namespace {

struct SubmitOptions {
  std::string file;
  std::vector<std::string> set;
  std::string request_id;
  std::string timeout;
  std::string format = "table";
  bool wait = false;
  bool watch = false;
  bool dry_run = false;
};

absl::StatusOr<std::string> ReadExperiment(const std::string& file, std::istream& in) {
  if (file == "-") return std::string(std::istreambuf_iterator<char>(in), {});
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  // Opening a directory succeeds, reading it does not.
  if (!stream || (stream.peek() == EOF && !stream.eof())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot read ", file, ": ", errno == 0 ? "it is no file" : std::strerror(errno)));
  }
  text << stream.rdbuf();
  if (stream.bad())
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", file, ": ", std::strerror(errno)));
  return text.str();
}

std::string Count(std::size_t n, const char* noun) {
  return absl::StrCat(n, " ", noun, n == 1 ? "" : "s");
}

// "3 cells × 1 device × 1 block, 9 runs".
std::string Scope(const v1::SubmitExperimentResponse& response) {
  std::set<std::string> devices;
  for (const v1::CellPlan& cell : response.cells())
    devices.insert(cell.devices().begin(), cell.devices().end());
  return absl::StrCat(Count(static_cast<std::size_t>(response.cells_size()), "cell"), " × ",
                      Count(devices.size(), "device"), " × ",
                      Count(static_cast<std::size_t>(response.blocks()), "block"), ", ",
                      Count(static_cast<std::size_t>(response.jobs()) *
                                static_cast<std::size_t>(response.runs_per_job()),
                            "run"));
}

std::ptrdiff_t Blocked(const v1::SubmitExperimentResponse& response) {
  return std::count_if(response.cells().begin(), response.cells().end(),
                       [](const v1::CellPlan& cell) { return !cell.blocked().empty(); });
}

std::string CellsJson(const v1::SubmitExperimentResponse& response) {
  std::vector<std::string> cells;
  for (const v1::CellPlan& cell : response.cells()) {
    std::vector<std::string> devices;
    for (const std::string& device : cell.devices()) devices.push_back(JsonString(device));
    cells.push_back(absl::StrCat(
        "{\"cell\": ", JsonString(cell.cell()), ", \"workload\": ", JsonString(cell.workload()),
        ", \"devices\": [", absl::StrJoin(devices, ", "),
        "], \"blocked\": ", cell.blocked().empty() ? "null" : JsonString(cell.blocked()), "}"));
  }
  return absl::StrCat("[", absl::StrJoin(cells, ", "), "]");
}

// One object for scripts; with progress once the wait is over.
void PrintJson(const v1::SubmitExperimentResponse& response,
               const v1::GetProgressResponse* progress, std::ostream& out) {
  Table table;
  RowValues row;
  const auto add = [&](const char* name, ColumnKind kind, Value value) {
    table.columns.push_back({name, kind});
    row.push_back(std::move(value));
  };
  const auto number = [](int value) { return Value(static_cast<std::int64_t>(value)); };
  add("experiment", ColumnKind::kText,
      response.experiment().empty() ? Value() : Value(response.experiment()));
  add("name", ColumnKind::kText, response.name());
  add("existing", ColumnKind::kBoolean, response.existing());
  add("sha256", ColumnKind::kText, response.sha256());
  add("jobs", ColumnKind::kNumber, number(response.jobs()));
  add("blocks", ColumnKind::kNumber, number(response.blocks()));
  add("runs_per_job", ColumnKind::kNumber, number(response.runs_per_job()));
  add("cells", ColumnKind::kJson, CellsJson(response));
  if (progress != nullptr) {
    std::vector<std::string> failures;
    for (const std::string& failure : progress->failures()) failures.push_back(JsonString(failure));
    add("done", ColumnKind::kBoolean, progress->done());
    add("queued", ColumnKind::kNumber, number(progress->queued()));
    add("active", ColumnKind::kNumber, number(progress->active()));
    add("succeeded", ColumnKind::kNumber, number(progress->succeeded()));
    add("failed", ColumnKind::kNumber, number(progress->failed()));
    add("canceled", ColumnKind::kNumber, number(progress->canceled()));
    add("failures", ColumnKind::kJson, absl::StrCat("[", absl::StrJoin(failures, ", "), "]"));
  }
  out << JsonObjectLines(table.columns, row);
}

void PrintCells(const v1::SubmitExperimentResponse& response, const Look& look, std::ostream& out) {
  TextTable table;
  table.columns = {{"CELL", Align::kLeft, Fit::kShrink},
                   {"WORKLOAD", Align::kLeft, Fit::kShrink},
                   {"RUNS ON", Align::kLeft, Fit::kShrink}};
  for (const v1::CellPlan& cell : response.cells()) {
    TextCell where{OneLine(absl::StrJoin(cell.devices(), ", "))};
    if (!cell.blocked().empty())
      where = {absl::StrCat("nowhere: ", OneLine(cell.blocked())), Style::kBad};
    table.rows.push_back({{OneLine(cell.cell())}, {OneLine(cell.workload())}, where});
  }
  // A reason is read to its end: the plan is not clipped.
  Render(table, Look{0, look.color}, out);
}

int ReportDryRun(Session& session, const v1::SubmitExperimentResponse& response,
                 const std::string& format) {
  Console& console = session.console();
  const bool blocked = Blocked(response) > 0;
  if (format == "json") {
    PrintJson(response, nullptr, console.out);
    return blocked ? kExitUsage : kExitOk;
  }
  const Look look = console.LookOfOut();
  console.out << Styled(OneLine(response.name()), Style::kStrong, look) << "  " << Scope(response)
              << " (dry run, nothing was queued)\n\n";
  PrintCells(response, look, console.out);
  if (!blocked) return kExitOk;
  console.out.flush();
  return session.FailUsage(absl::StrCat(
      Blocked(response), " of ", Count(static_cast<std::size_t>(response.cells_size()), "cell"),
      " can run nowhere"));
}

void ReportAccepted(Session& session, const v1::SubmitExperimentResponse& response,
                    std::ostream& out, bool hints) {
  out << response.experiment() << " (" << OneLine(response.name()) << ") "
      << (response.existing() ? "was accepted before under this request id: " : "accepted: ")
      << Scope(response) << '\n';
  if (!hints) return;
  out << "  watch:    "
      << session.Hint(absl::StrCat("experiment get ", response.experiment(), " --watch"))
      << "\n  results:  "
      << session.Hint(absl::StrCat("result list --experiment ", response.experiment())) << '\n';
}

int WaitAfterSubmit(Session& session, FarmClient& client,
                    const v1::SubmitExperimentResponse& response,
                    std::optional<std::chrono::nanoseconds> timeout, const SubmitOptions& options) {
  const std::string& format = options.format;
  WaitOptions wait;
  wait.watch = options.watch;
  wait.experiment = response.experiment();
  wait.timeout = timeout;
  wait.scope = Scope(response);
  wait.watched = response.existing() ? Watched::kFromLater : Watched::kFromSubmission;
  for (const v1::CellPlan& cell : response.cells()) wait.cell_order.push_back(cell.cell());
  if (format != "json") return WaitAndReport(session, client, wait);
  const auto result = WaitForExperiment(session, client, wait);
  if (!result.ok()) return session.Fail(result.status());
  PrintJson(response, &result->progress, session.console().out);
  session.console().out.flush();
  if (result->end != WaitEnd::kDone) return ReportUnfinished(session, wait, *result);
  return ExitCodeOfProgress(result->progress);
}

int RunSubmit(Session& session, const SubmitOptions& options) {
  Console& console = session.console();
  std::optional<std::chrono::nanoseconds> timeout;
  if (!options.timeout.empty() && !options.wait && !options.watch)
    return session.FailUsage("--timeout is for --wait and --watch: add one of them");
  if (!options.timeout.empty()) {
    const auto parsed = ParseDuration(options.timeout);
    if (!parsed.ok()) {
      return session.FailUsage(
          absl::StrCat("--timeout: ", absl::string_view(parsed.status().message())));
    }
    timeout = std::chrono::nanoseconds(*parsed);
  }
  v1::SubmitExperimentRequest request;
  for (const std::string& set : options.set) {
    if (set.find('=') == std::string::npos || set.front() == '=') {
      return session.FailUsage(
          absl::StrCat("--set ", set, ": write KEY=VALUE, such as --set repetitions=5"));
    }
    request.add_set(set);
  }
  absl::StatusOr<std::string> text = ReadExperiment(options.file, console.in);
  if (!text.ok()) return session.Fail(text.status());
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  if (CleanUtf8(*text) != *text) {
    return session.FailUsage(absl::StrCat(options.file, " is no UTF-8 text"));
  }
  request.set_text(*std::move(text));
  request.set_file_name(options.file == "-" ? "stdin" : options.file);
  request.set_request_id(options.request_id);
  request.set_dry_run(options.dry_run);

  const auto response = (*client)->Submit(request);
  if (!response.ok()) return session.Fail(response.status());
  for (const std::string& warning : response->warnings())
    console.err << "warning: " << OneLine(warning) << '\n';
  if (options.dry_run) return ReportDryRun(session, *response, options.format);
  if (options.wait || options.watch) {
    // Into err when out is for a script: whoever waits should know the id from the beginning.
    ReportAccepted(session, *response, options.format == "json" ? console.err : console.out, false);
    if (options.format != "json") console.out << std::endl;
    return WaitAfterSubmit(session, **client, *response, timeout, options);
  }
  if (options.format == "json") {
    PrintJson(*response, nullptr, console.out);
  } else if (options.format == "name") {
    console.out << response->experiment() << '\n';
  } else {
    ReportAccepted(session, *response, console.out, true);
  }
  return kExitOk;
}

}  // namespace

void AddSubmit(CLI::App& app, Session& session) {
  auto options = std::make_shared<SubmitOptions>();
  CLI::App* command =
      AddCommand(app, "submit", "Submit an experiment file",
                 "  joulefarm submit -f exp.yaml --dry-run\n"
                 "  joulefarm submit -f exp.yaml --watch\n"
                 "  joulefarm submit -f exp.yaml --wait --timeout 2h\n"
                 "  joulefarm submit -f exp.yaml --set repetitions=5 --set matrix.threads=[1,2]\n"
                 "  id=$(joulefarm submit -f exp.yaml --request-id nightly-$(date +%F) -o name)",
                 "Prints the experiment's id. With --wait or --watch it shows progress, then the "
                 "result summary, and exits 0 only when every\n"
                 "job succeeded. DURATION is written like 30s, 10m or 1h30m.");
  command->group("Running experiments");
  command->add_option("-f,--file", options->file, "the experiment file; - reads standard input")
      ->required()
      ->type_name("FILE");
  CLI::Option* wait = command->add_flag(
      "--wait", options->wait, "wait until every job has ended; Ctrl-C only stops watching");
  CLI::Option* watch = command->add_flag(
      "--watch", options->watch,
      "wait, and show what the devices do meanwhile: runs, tokens/s, watts, temperature");
  command
      ->add_option("--timeout", options->timeout,
                   "stop waiting after this time (exit code 4); the jobs go on")
      ->type_name("DURATION");
  command
      ->add_flag(
          "--dry-run", options->dry_run,
          "only print the cells and where they can run (exit code 2 when one can run nowhere)")
      ->excludes(wait)
      ->excludes(watch);
  command
      ->add_option("--set", options->set,
                   "change a key of the file, such as limits.run=1h; may be repeated")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  command
      ->add_option("--request-id", options->request_id,
                   "submitting again with the same id and content gives the same experiment")
      ->type_name("ID");
  command
      ->add_option("-o,--output", options->format, "table, json (one object) or name (only the id)")
      ->check(CLI::IsMember({"table", "json", "name"}).description(""))
      ->type_name("FORMAT")
      ->default_str("table");
  command->callback(
      [=, &session] { session.action = [=, &session] { return RunSubmit(session, *options); }; });
}

}  // namespace joulefarm::cli
