#include <CLI/App.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/output/part_file.h"
#include "cli/query.h"
#include "cli/view/report.h"
#include "common/text/no_such.h"

namespace joulefarm::cli {
namespace {

struct ReportOptions {
  std::string experiment;
  std::string file;
};

// One query after the other into the tables they are for; the first error ends it.
absl::Status Fill(FarmClient& client, const std::vector<std::pair<Table*, std::string>>& queries) {
  for (const auto& [table, query] : queries) {
    absl::StatusOr<Table> answer = Ask(client, query);
    if (!answer.ok()) return answer.status();
    *table = *std::move(answer);
  }
  return absl::OkStatus();
}

absl::Status FillListing(FarmClient& client, v1::Listing listing, const std::string& experiment,
                         Table& table) {
  v1::ListRequest request;
  request.set_listing(listing);
  (*request.mutable_filters())["experiment"] = experiment;
  TableCollector collector;
  absl::Status status = client.List(request, collector);
  table = std::move(collector.table());
  return status;
}

absl::StatusOr<ReportData> LoadReport(FarmClient& client, const std::string& experiment) {
  ReportData data;
  absl::Status status =
      Fill(client, {{&data.experiment,
                     absl::StrCat("SELECT id, name, tenant, sha256, seed, strftime('%Y-%m-%dT"
                                  "%H:%M:%SZ', submitted_wall_ns / 1000000000, 'unixepoch') AS "
                                  "submitted, text, overrides FROM experiment WHERE id = ",
                                  SqlExperiment(experiment))}});
  if (!status.ok()) return status;
  if (data.experiment.rows.empty()) return absl::NotFoundError(NoSuch("experiment", experiment));
  const std::string id =
      std::get<std::string>(data.experiment.At(data.experiment.rows.front(), "id"));
  const std::string of = absl::StrCat("job.experiment = ", SqlText(id));
  const std::string accepted =
      absl::StrCat(" FROM job JOIN attempt ON attempt.fence = job.accepted_fence WHERE ", of);
  status = Fill(
      client,
      {{&data.jobs, absl::StrCat("SELECT id, cell, device_id, state, failure_class, reason, "
                                 "repetitions, warmup, attempts FROM job WHERE ",
                                 of, " ORDER BY number")},
       {&data.devices,
        absl::StrCat("SELECT id, kind, facts FROM device WHERE id IN (SELECT attempt.device_id",
                     accepted, ") ORDER BY id")},
       {&data.builds,
        absl::StrCat("SELECT attempt.device_id AS device, engine, engine_version AS \"engine "
                     "version\", attempt.os_version AS \"OS\", kernel, governor, power_mode AS "
                     "\"power mode\", pinned_cores AS cores, power_path AS \"power path\", "
                     "agent_version AS agent, attempt.shortened AS \"shortened steps\", count(*) "
                     "AS jobs",
                     accepted, " GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 ORDER BY 1, 2, 3")},
       {&data.models,
        absl::StrCat("SELECT DISTINCT model, quant, model_size_bytes AS bytes, model_sha256 AS "
                     "\"SHA-256\" FROM job WHERE ",
                     of, " AND model IS NOT NULL AND model <> '' ORDER BY 1")},
       {&data.channels,
        absl::StrCat("SELECT DISTINCT attempt.device_id AS device, channel.name AS channel, "
                     "channel.quantity, channel.scope, channel.provenance, channel.nominal_hz AS "
                     "Hz, channel.parent, channel.gain_u AS \"gain u\", channel.offset_u AS "
                     "\"offset u\", CASE channel.is_primary WHEN 1 THEN 'reported' END AS used, "
                     "channel.description FROM job JOIN attempt ON attempt.fence = "
                     "job.accepted_fence JOIN channel ON channel.attempt = attempt.fence WHERE ",
                     of,
                     " AND channel.quantity IN ('power_w', 'energy_counter_j') ORDER BY 1, 2")}});
  if (status.ok()) status = FillListing(client, v1::LISTING_RESULTS, id, data.results);
  if (status.ok()) status = FillListing(client, v1::LISTING_RESULT_SUMMARY, id, data.summary);
  if (!status.ok()) return status;
  return data;
}

int RunReport(Session& session, const ReportOptions& options) {
  if (ParseFormat(options.file).has_value()) {
    return session.FailUsage(absl::StrCat(
        "-o ", options.file, " would write a file named ", options.file,
        ": a report is always Markdown; write -o report.md (or -o ./", options.file,
        "); for data: ",
        session.Hint(absl::StrCat("result list --experiment ", options.experiment, " -o json"))));
  }
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  session.console().catch_interrupt();
  const absl::StatusOr<ReportData> data = LoadReport(**client, options.experiment);
  if (!data.ok()) return session.Fail(data.status());
  const std::string text = ReportMarkdown(*data);
  if (options.file.empty() || options.file == "-") {
    session.console().out << text;
    return kExitOk;
  }
  const absl::Status written = WriteFile(options.file, text);
  return written.ok() ? kExitOk : session.FailHere(written);
}

}  // namespace

void AddExperimentReport(CLI::App& group, Session& session) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* report = AddCommand(
      group, "report", "An experiment as a Markdown document",
      "  joulefarm experiment report exp-1\n"
      "  joulefarm experiment report quant-sweep -o quant-sweep.md",
      "What ran, the results per cell with uncertainties and intervals, the reasons of the grades, "
      "devices, engine builds,\n"
      "models and channels, the file to submit again, and queries to begin with.");
  report->add_option("EXPERIMENT", options->experiment, "id, or name of the newest so named")
      ->required();
  report->add_option("-o,--output", options->file, "write to a file")->type_name("FILE");
  report->callback(
      [=, &session] { session.action = [=, &session] { return RunReport(session, *options); }; });
}

}  // namespace joulefarm::cli
