#include <CLI/App.hpp>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/output/part_file.h"
#include "cli/query.h"
#include "cli/trace/samples.h"
#include "cli/trace/trace_info.h"

namespace joulefarm::cli {
namespace {

struct ExportOptions {
  std::string experiment;
  std::string file;
  std::string format;  // empty: by the file's name
  bool traces = false;
};

absl::StatusOr<Format> FormatFor(const ExportOptions& options) {
  if (!options.format.empty()) return ParseFormat(options.format).value_or(Format::kCsv);
  if (options.file == "-") return Format::kCsv;
  return FormatOfFile(options.file, {Format::kCsv, Format::kJsonLines});
}

// Passes rows on and counts them.
class CountedRows : public TableSink {
 public:
  explicit CountedRows(TableSink& sink) : sink_(sink) {}
  void Begin(const std::vector<Column>& columns) override { sink_.Begin(columns); }
  void Row(const RowValues& row) override {
    ++rows_;
    sink_.Row(row);
  }
  void End() override { sink_.End(); }
  bool WantsMore() const override { return sink_.WantsMore(); }
  std::int64_t rows() const { return rows_; }

 private:
  TableSink& sink_;
  std::int64_t rows_ = 0;
};

absl::StatusOr<std::int64_t> WriteRuns(FarmClient& client, const std::string& experiment,
                                       Format format, std::ostream& out) {
  v1::ListRequest request;
  request.set_listing(v1::LISTING_RESULTS);
  (*request.mutable_filters())["experiment"] = experiment;
  const auto printer = MakeMachinePrinter(format, out);
  CountedRows counting(*printer);
  absl::Status status = client.List(request, counting);
  if (!status.ok()) return status;
  return counting.rows();
}

// Every channel of every accepted attempt, one after the other.
absl::StatusOr<std::int64_t> WriteTraces(FarmClient& client, const std::string& experiment,
                                         Format format, std::ostream& out) {
  const auto channels = Ask(
      client, absl::StrCat(
                  "SELECT job.id AS job, channel.name, channel.quantity, channel.attempt FROM job "
                  "JOIN channel ON channel.attempt = job.accepted_fence WHERE job.experiment = ",
                  SqlExperiment(experiment), " ORDER BY job.number, channel.source, channel.name"));
  if (!channels.ok()) return channels.status();
  const auto printer = MakeMachinePrinter(format, out);
  std::vector<Column> columns{{"job_id", ColumnKind::kText},
                              {"attempt", ColumnKind::kNumber},
                              {"channel", ColumnKind::kText},
                              {"quantity", ColumnKind::kText}};
  columns.insert(columns.end(), SampleColumns().begin(), SampleColumns().end());
  printer->Begin(columns);
  std::int64_t rows = 0;
  for (const RowValues& channel : channels->rows) {
    TraceQuery query;
    query.job = std::get<std::string>(channels->At(channel, "job"));
    query.attempt = IntAt(*channels, channel, "attempt");
    query.channel = std::get<std::string>(channels->At(channel, "name"));
    const absl::StatusOr<TraceInfo> info = LoadTraceInfo(client, query);
    if (!info.ok()) return info.status();
    const std::int64_t origin_ns = info->Origin();
    SampleSink sink([&](std::int64_t t_ns, double value) {
      RowValues row{info->job, info->attempt, info->channel.name, info->channel.quantity};
      const RowValues sample = SampleRow(*info, origin_ns, t_ns, value);
      row.insert(row.end(), sample.begin(), sample.end());
      printer->Row(row);
      ++rows;
      return printer->WantsMore();
    });
    absl::Status status = client.Trace(RequestFor(*info), sink);
    if (!status.ok()) return status;
  }
  printer->End();
  return rows;
}

int RunExport(Session& session, const ExportOptions& options) {
  const absl::StatusOr<Format> format = FormatFor(options);
  if (!format.ok()) return session.FailHere(format.status());
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  if (options.file == "-") {
    if (options.traces)
      return session.FailUsage("--traces writes a second file beside FILE: name a file, not -");
    const auto rows = WriteRuns(**client, options.experiment, *format, session.console().out);
    return rows.ok() ? kExitOk : session.Fail(rows.status());
  }
  session.console().catch_interrupt();
  struct Part {
    std::string path;
    absl::string_view what;
    decltype(&WriteRuns) write;
    std::unique_ptr<PartFile> file;
    std::int64_t rows = 0;
  };
  std::vector<Part> parts;
  parts.push_back({options.file, "runs", WriteRuns, nullptr});
  if (options.traces) {
    std::filesystem::path traces(options.file);
    traces.replace_extension(absl::StrCat(".traces", traces.extension().string()));
    parts.push_back({traces.string(), "samples", WriteTraces, nullptr});
  }
  for (Part& part : parts) {
    auto file = CreateFile(part.path);
    if (!file.ok()) return session.FailHere(file.status());
    part.file = *std::move(file);
  }
  for (Part& part : parts) {
    const auto rows = part.write(**client, options.experiment, *format, part.file->stream());
    if (!rows.ok()) return session.Fail(rows.status());
    part.rows = *rows;
  }
  // Both or none, but for a failure in between.
  for (const Part& part : parts) {
    const absl::Status synced = part.file->Sync();
    if (!synced.ok()) return session.FailHere(synced);
  }
  for (const Part& part : parts) {
    const absl::Status kept = part.file->Keep();
    if (!kept.ok()) return session.FailHere(kept);
    session.console().err << part.path << ": " << part.rows << " " << part.what << std::endl;
  }
  return kExitOk;
}

}  // namespace

void AddResultExport(CLI::App& group, Session& session) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command = AddCommand(
      group, "export", "All runs of an experiment with every column, into a file",
      "  joulefarm result export --experiment exp-1 runs.csv\n"
      "  joulefarm result export --experiment quant-sweep -o jsonl - | jq .otps\n"
      "  joulefarm result export --experiment exp-1 --traces runs.csv    # and runs.traces.csv",
      "The columns are those of the view result (docs/schema.md). --traces adds a file with the "
      "samples of every channel\n"
      "of the accepted attempts: job_id, attempt, channel, quantity, t_ns, t_s, value, phase.");
  command->add_option("--experiment", options->experiment, "id, or name of the newest so named")
      ->type_name("EXPERIMENT")
      ->required();
  command->add_option("FILE", options->file, "where to; - is the output")->required();
  command->add_option("-o,--output", options->format, "csv or jsonl; else as FILE's name says")
      ->check(CLI::IsMember({"csv", "jsonl"}).description(""))
      ->type_name("FORMAT")
      ->default_str("csv");
  command->add_flag("--traces", options->traces, "also every sample, into FILE's .traces sibling");
  command->callback(
      [=, &session] { session.action = [=, &session] { return RunExport(session, *options); }; });
}

}  // namespace joulefarm::cli
