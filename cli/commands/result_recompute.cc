#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

struct RecomputeOptions {
  std::string subject;
  std::optional<std::int64_t> attempt;
  std::string format = "table";
};

struct Agreement {
  std::int64_t same = 0;
  std::int64_t absent = 0;  // an energy on neither side, for the same reasons
  std::int64_t differ = 0;
};

Agreement CountOutcomes(const Table& table) {
  Agreement counts;
  for (const RowValues& row : table.rows) {
    const std::string outcome = PlainText(table.At(row, "outcome"));
    if (outcome == "same") {
      ++counts.same;
    } else if (outcome == "absent") {
      ++counts.absent;
    } else {
      ++counts.differ;
    }
  }
  return counts;
}

// What can be computed is the same to the last bit.
std::string AgreementText(const Agreement& counts) {
  if (counts.same + counts.absent == 0) return "no energies are stored, and none come out";
  if (counts.absent == 0)
    return absl::StrCat("all ", counts.same, " energies are the same to the last bit");
  return absl::StrCat(counts.same, " the same to the last bit, ", counts.absent,
                      " absent in both (the column reasons of table energy says why)");
}

int RunRecompute(Session& session, const RecomputeOptions& options) {
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  v1::RecomputeRequest request;
  request.set_subject(options.subject);
  if (options.attempt) request.set_attempt(*options.attempt);
  TableCollector collector;
  const absl::Status status = (*client)->Recompute(request, collector);
  if (!status.ok()) return session.Fail(status);
  const Table& table = collector.table();
  Console& console = session.console();
  if (const auto printer =
          MakeMachinePrinter(ParseFormat(options.format).value_or(Format::kTable), console.out)) {
    printer->Begin(table.columns);
    for (const RowValues& row : table.rows) printer->Row(row);
    printer->End();
  } else if (!table.rows.empty()) {
    RenderRaw(table, console.LookOfOut(), console.out);
  }
  const Agreement counts = CountOutcomes(table);
  if (counts.differ == 0) {
    console.err << AgreementText(counts) << '\n';
    return kExitOk;
  }
  console.err
      << counts.differ << " of " << table.rows.size()
      << " energies differ from what the raw data gives now, " << counts.same << " the same, "
      << counts.absent
      << " absent in both: the column differs says in what. Either the database was changed, "
         "or it was written by another version\n";
  return kExitJobFailed;
}

}  // namespace

void AddResultRecompute(CLI::App& group, Session& session) {
  auto options = std::make_shared<RecomputeOptions>();
  CLI::App* recompute = AddCommand(
      group, "recompute", "Compute energies again from the raw data and compare",
      "  joulefarm result recompute job-7\n"
      "  joulefarm result recompute quant-sweep -o csv > check.csv\n"
      "  joulefarm result recompute job-7 --attempt 9",
      "Decodes every sample that is stored, integrates it as when the attempt ended, and compares "
      "every column of\n"
      "table energy to the last bit. Nothing is changed. Each is the same, absent (no energy on "
      "either side, for the\n"
      "same reasons) or differs. Exit status: 1 when one differs, else 0.");
  recompute->add_option("JOB", options->subject, "a job's id, or an experiment's id or name")
      ->required();
  recompute
      ->add_option("--attempt", options->attempt, "this attempt; else the accepted one of each job")
      ->type_name("N");
  recompute->add_option("-o,--output", options->format, "table, json, jsonl or csv")
      ->check(CLI::IsMember({"table", "json", "jsonl", "csv"}).description(""))
      ->type_name("FORMAT")
      ->default_str("table");
  recompute->callback([=, &session] {
    session.action = [=, &session] { return RunRecompute(session, *options); };
  });
}

}  // namespace joulefarm::cli
