#include <CLI/App.hpp>
#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands/commands.h"
#include "cli/output/part_file.h"
#include "cli/trace/curve.h"
#include "cli/trace/samples.h"
#include "cli/trace/svg_plot.h"
#include "cli/trace/terminal_plot.h"

namespace joulefarm::cli {
namespace {

struct TraceOptions {
  TraceQuery query;
  std::optional<std::int64_t> run;
  std::string format;  // empty: not said
  std::string export_file;
  bool plot = false;
  std::string svg_file;
};

// The time that is shown, and what it counts from.
struct Span {
  std::int64_t from_ns = 0;
  std::int64_t to_ns = 0;
  std::int64_t origin_ns = 0;
  std::optional<TraceRun> run;
};

absl::StatusOr<Span> SpanOf(const TraceInfo& info, const std::optional<std::int64_t>& run) {
  if (run) {
    absl::StatusOr<TraceRun> found = info.FindRun(*run);
    if (!found.ok()) return found.status();
    return Span{found->start_ns, found->end_ns, found->start_ns, *found};
  }
  Span span{info.Origin(), info.last_ns, info.Origin(), std::nullopt};
  if (!info.phases.empty()) span.to_ns = std::max(span.to_ns, info.phases.back().end_ns);
  return span;
}

// Samples that are shown. A run's are its own only: runs that one engine process times overlap.
bool IsShown(const TraceInfo& info, const Span& span, std::int64_t t_ns) {
  return t_ns >= span.from_ns && t_ns <= span.to_ns &&
         (!span.run || info.IsOfRun(span.run->run, t_ns));
}

// Columns for people, written as the samples come.
class SampleText : public TableSink {
 public:
  SampleText(std::ostream& out, const Look& look) : out_(out), look_(look) {}
  void Begin(const std::vector<Column>& /*columns*/) override {
    out_ << Styled(absl::StrFormat("%14s  %16s  PHASE", "T s", "VALUE"), Style::kStrong, look_)
         << '\n';
  }
  void Row(const RowValues& row) override {
    const std::string* phase = std::get_if<std::string>(&row[3]);
    out_ << absl::StrFormat("%14.6f  %16.9g  %s\n", std::get<double>(row[1]),
                            std::get<double>(row[2]), phase == nullptr ? "-" : *phase);
  }
  void End() override {}
  bool WantsMore() const override { return out_.good(); }

 private:
  std::ostream& out_;
  Look look_;
};

// The format by what was said, else by the file's name.
absl::StatusOr<Format> FormatFor(const TraceOptions& options) {
  if (!options.format.empty()) return ParseFormat(options.format).value_or(Format::kTable);
  if (options.export_file.empty()) return Format::kTable;
  return FormatOfFile(options.export_file, {Format::kCsv, Format::kJson, Format::kJsonLines});
}

absl::Status Write(Session& session, const TraceInfo& info, const Span& span, Format format,
                   std::ostream& out) {
  std::unique_ptr<TableSink> printer = MakeMachinePrinter(format, out);
  if (printer == nullptr)
    printer = std::make_unique<SampleText>(out, session.console().LookOfOut());
  printer->Begin(SampleColumns());
  SampleSink sink([&](std::int64_t t_ns, double value) {
    if (IsShown(info, span, t_ns)) printer->Row(SampleRow(info, span.origin_ns, t_ns, value));
    return printer->WantsMore();
  });
  const auto client = session.Client();
  if (!client.ok()) return client.status();
  absl::Status status = (*client)->Trace(RequestFor(info), sink);
  if (status.ok()) printer->End();
  return status;
}

int Export(Session& session, const TraceOptions& options, const TraceInfo& info, const Span& span,
           Format format) {
  const auto file = CreateFile(options.export_file);
  if (!file.ok()) return session.FailHere(file.status());
  const absl::Status status = Write(session, info, span, format, (*file)->stream());
  if (!status.ok()) return session.Fail(status);
  const absl::Status kept = (*file)->Keep();
  return kept.ok() ? kExitOk : session.FailHere(kept);
}

absl::StatusOr<Picture> Paint(Session& session, const TraceInfo& info, const Span& span, int bins) {
  CurveOptions options;
  options.from_ns = span.from_ns;
  options.to_ns = span.to_ns;
  options.period_ns = info.PeriodNs();
  options.counter = info.channel.IsCounter();
  options.wrap = info.channel.wrap;
  options.bins = SensibleBins(bins, span.to_ns - span.from_ns, options.period_ns,
                              info.channel.refresh_ns, options.counter);
  CurveBuilder builder(options);
  SampleSink sink([&](std::int64_t t_ns, double value) {
    // A counter's rate needs the reading before: what other runs did meanwhile stays in the
    // picture.
    if (options.counter || IsShown(info, span, t_ns)) builder.Add(t_ns, value);
    return true;
  });
  const auto client = session.Client();
  if (!client.ok()) return client.status();
  absl::Status status = (*client)->Trace(RequestFor(info), sink);
  if (!status.ok()) return status;
  Picture picture;
  picture.info = info;
  if (span.run) {
    std::erase_if(picture.info.phases, [&](const TracePhase& phase) {
      return phase.run && *phase.run != span.run->run;
    });
  }
  picture.curve = builder.Finish();
  picture.origin_ns = span.origin_ns;
  picture.run = span.run;
  picture.unit =
      UnitFor(info.channel.quantity, std::max(std::abs(picture.curve.Highest().value_or(0)),
                                              std::abs(picture.curve.Lowest().value_or(0))));
  return picture;
}

int Plot(Session& session, const TraceInfo& info, const Span& span) {
  const Look look = session.console().LookOfOut();
  const absl::StatusOr<Picture> picture = Paint(session, info, span, TerminalPlotBins(look));
  if (!picture.ok()) return session.Fail(picture.status());
  DrawOnTerminal(*picture, look, session.console().out);
  return kExitOk;
}

int PlotSvg(Session& session, const std::string& path, const TraceInfo& info, const Span& span) {
  const absl::StatusOr<Picture> picture = Paint(session, info, span, SvgPlotBins());
  if (!picture.ok()) return session.Fail(picture.status());
  if (path == "-") {
    session.console().out << DrawSvg(*picture);
    return kExitOk;
  }
  const absl::Status written = WriteFile(path, DrawSvg(*picture));
  return written.ok() ? kExitOk : session.FailHere(written);
}

int RunTrace(Session& session, const TraceOptions& options) {
  const absl::StatusOr<Format> format = FormatFor(options);
  if (!format.ok()) return session.FailHere(format.status());
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  if (!options.export_file.empty()) session.console().catch_interrupt();
  const absl::StatusOr<TraceInfo> info = LoadTraceInfo(**client, options.query);
  if (!info.ok()) return session.Fail(info.status());
  const absl::StatusOr<Span> span = SpanOf(*info, options.run);
  if (!span.ok()) return session.Fail(span.status());
  int exit = kExitOk;
  if (!options.export_file.empty()) exit = Export(session, options, *info, *span, *format);
  if (exit == kExitOk && !options.svg_file.empty())
    exit = PlotSvg(session, options.svg_file, *info, *span);
  if (exit == kExitOk && options.plot) exit = Plot(session, *info, *span);
  if (options.plot || !options.svg_file.empty() || !options.export_file.empty()) return exit;
  const absl::Status status = Write(session, *info, *span, *format, session.console().out);
  return status.ok() ? kExitOk : session.Fail(status);
}

}  // namespace

void AddResultTrace(CLI::App& group, Session& session) {
  auto options = std::make_shared<TraceOptions>();
  CLI::App* trace = AddCommand(
      group, "trace", "The samples of a job's channel: printed, exported or plotted",
      "  joulefarm result trace job-7 --plot\n"
      "  joulefarm result trace job-7 --channel engine.rss --run 2 --plot\n"
      "  joulefarm result trace job-7 --svg job-7.svg\n"
      "  joulefarm result trace job-7 --export job-7.csv\n"
      "  joulefarm result trace job-7 -o jsonl | head",
      "Columns: t_ns (BOOTTIME of the agent's host), t_s (since the attempt, or with --run the "
      "run, began), value\n"
      "(as recorded, in the unit of the channel's quantity) and phase. Plots show a counter as "
      "its difference over time.\n"
      "~ marks estimated, sim simulated channels. \"joulefarm sql 'select * from channel where "
      "attempt = 7'\" lists channels.");
  trace->add_option("JOB", options->query.job, "job id")->required();
  trace
      ->add_option("--attempt", options->query.attempt,
                   "this attempt; else the accepted one, or the newest")
      ->type_name("N");
  trace
      ->add_option("--channel", options->query.channel,
                   "this channel; else the one that energy is reported from")
      ->type_name("NAME");
  trace->add_option("--run", options->run, "only this run: what was sampled in its own phases")
      ->type_name("N");
  trace->add_option("-o,--output", options->format, "table, csv, json or jsonl")
      ->check(CLI::IsMember({"table", "csv", "json", "jsonl"}).description(""))
      ->type_name("FORMAT")
      ->default_str("table");
  trace
      ->add_option("--export", options->export_file,
                   "write the samples to a file, in the format its name or -o says, else csv")
      ->type_name("FILE");
  trace->add_flag("--plot", options->plot, "draw on the terminal");
  trace->add_option("--svg", options->svg_file, "draw into an SVG file; - is the output")
      ->type_name("FILE");
  trace->callback(
      [=, &session] { session.action = [=, &session] { return RunTrace(session, *options); }; });
}

}  // namespace joulefarm::cli
