#include <CLI/App.hpp>
#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {
namespace {

struct ResultOptions {
  std::string job;
  std::optional<std::int64_t> run;
  std::string format = "table";
};

int RunGetResult(Session& session, const ResultOptions& options) {
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  v1::ListRequest request;
  request.set_listing(v1::LISTING_RESULTS);
  (*request.mutable_filters())["job_id"] = options.job;
  if (options.run) (*request.mutable_filters())["run"] = absl::StrCat(*options.run);
  TableCollector collector;
  const absl::Status status = (*client)->List(request, collector);
  if (!status.ok()) return session.Fail(status);
  Table& table = collector.table();
  std::reverse(table.rows.begin(), table.rows.end());  // the first run first
  if (table.rows.empty()) {
    return session.Fail(absl::NotFoundError(absl::StrCat(
        "no result of job ", options.job, options.run ? absl::StrCat(" run ", *options.run) : "",
        ": ", session.Hint(absl::StrCat("job get ", options.job)), " says where it is")));
  }
  ShowObjects(session, table, "run", options.format);
  return kExitOk;
}

}  // namespace

Listing ResultListing() { return {v1::LISTING_RESULTS, "results", ResultView}; }

void AddResult(CLI::App& app, Session& session) {
  CLI::App* group = AddGroup(app, "result", "What was measured",
                             "  joulefarm result list --experiment exp-1\n"
                             "  joulefarm result get job-7 --run 2\n"
                             "  joulefarm result trace job-7 --plot\n"
                             "  joulefarm result compare exp-1 exp-2");
  group->group("Results");

  auto options = std::make_shared<ListingOptions>();
  CLI::App* list = AddCommand(
      *group, "list", "List runs, warm-ups included, newest first",
      "  joulefarm result list --experiment exp-1\n"
      "  joulefarm result list --experiment quant-sweep --filter warmup=false -o csv > runs.csv\n"
      "  joulefarm result list --model tiny-q8_0 -o json",
      "~ marks estimated, sim simulated values; ± is the standard uncertainty (k = 1). Every "
      "column: -o wide.");
  AddListingOptions(*list, *options);
  list->add_option("--experiment", options->named["experiment"], "of this experiment")
      ->type_name("EXPERIMENT");
  list->add_option("--job", options->named["job_id"], "of this job")->type_name("JOB");
  list->add_option("--device", options->named["device_id"], "on this device")->type_name("DEVICE");
  list->add_option("--model", options->named["model"], "of this model")->type_name("MODEL");
  list->add_option("--workload", options->named["workload"], "of this workload")
      ->type_name("WORKLOAD");
  list->callback([options, &session] {
    session.action = [options, &session] { return RunListing(session, ResultListing(), *options); };
  });

  auto get_options = std::make_shared<ResultOptions>();
  CLI::App* get = AddCommand(*group, "get", "Every value of a job's runs, or of one of them",
                             "  joulefarm result get job-7\n"
                             "  joulefarm result get job-7 --run 2 -o json",
                             "Several runs share one list of what they have in common and stand "
                             "side by side in the rest.\n"
                             "With -o json a single run is an object, several are an array.");
  get->add_option("JOB", get_options->job, "job id")->required();
  get->add_option("--run", get_options->run, "only this run")->type_name("N");
  AddFormat(*get, get_options->format);
  get->callback([=, &session] {
    session.action = [=, &session] { return RunGetResult(session, *get_options); };
  });
  AddResultTrace(*group, session);
  AddResultRecompute(*group, session);
  AddResultExport(*group, session);
  AddResultCompare(*group, session);
}

}  // namespace joulefarm::cli
