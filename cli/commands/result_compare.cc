#include <CLI/App.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/compare/compare_output.h"
#include "cli/compare/pairing.h"

namespace joulefarm::cli {
namespace {

struct CompareOptions {
  std::string a;
  std::string b;
  std::vector<std::string> metrics;
  std::string format = "table";
};

// EXPERIMENT or EXPERIMENT/CELL, with its summary.
absl::StatusOr<CompareSide> Load(FarmClient& client, const std::string& name) {
  CompareSide side;
  side.name = name;
  const std::size_t slash = name.find('/');
  if (slash != std::string::npos) side.cell = name.substr(slash + 1);
  v1::ListRequest request;
  request.set_listing(v1::LISTING_RESULT_SUMMARY);
  (*request.mutable_filters())["experiment"] = name.substr(0, slash);
  TableCollector collector;
  absl::Status status = client.List(request, collector);
  if (!status.ok()) return status;
  side.summary = std::move(collector.table());
  request.set_listing(v1::LISTING_RESULTS);
  TableCollector runs;
  status = client.List(request, runs);
  if (!status.ok()) return status;
  side.runs = std::move(runs.table());
  return side;
}

int RunCompare(Session& session, const CompareOptions& options) {
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  auto a = Load(**client, options.a);
  if (!a.ok()) return session.Fail(a.status());
  auto b = Load(**client, options.b);
  if (!b.ok()) return session.Fail(b.status());
  // One cell named once means the same cell of the other.
  if (a->cell && !b->cell) b->cell = a->cell;
  if (b->cell && !a->cell) a->cell = b->cell;
  const absl::StatusOr<CompareResult> result = Compare(*a, *b, options.metrics);
  if (!result.ok()) return session.Fail(result.status());
  Console& console = session.console();
  const Format format = ParseFormat(options.format).value_or(Format::kTable);
  if (const auto printer = MakeMachinePrinter(format, console.out)) {
    const Table table = CompareTable(*result);
    printer->Begin(table.columns);
    for (const RowValues& row : table.rows) printer->Row(row);
    printer->End();
    for (const std::string& note : result->notes) console.err << note << '\n';
  } else {
    RenderCompare(*a, *b, *result, console.LookOfOut(), console.out);
  }
  return kExitOk;
}

}  // namespace

void AddResultCompare(CLI::App& group, Session& session) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* compare = AddCommand(
      group, "compare", "What changed between two experiments or cells",
      "  joulefarm result compare exp-1 exp-2\n"
      "  joulefarm result compare nightly-before nightly-after --metric otps --metric energy_j\n"
      "  joulefarm result compare exp-1/model=tiny-f16 exp-1/model=tiny-q8_0 -o json",
      "Cells are paired by name, devices by id. Per metric: both means, the difference of B less A "
      "with Welch's\n"
      "95 % interval, the ratio, and what that shows. Speed methods, scopes and provenances are "
      "never mixed: exit 2.");
  compare->add_option("A", options->a, "an experiment, or EXPERIMENT/CELL")->required();
  compare->add_option("B", options->b, "what to compare it with")->required();
  compare
      ->add_option("--metric", options->metrics,
                   "only this metric of result_summary; may be repeated")
      ->type_name("NAME")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  compare->add_option("-o,--output", options->format, "table, json, jsonl or csv")
      ->check(CLI::IsMember({"table", "json", "jsonl", "csv"}).description(""))
      ->type_name("FORMAT")
      ->default_str("table");
  compare->callback(
      [=, &session] { session.action = [=, &session] { return RunCompare(session, *options); }; });
}

}  // namespace joulefarm::cli
