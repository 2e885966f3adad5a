#include <CLI/App.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/output/json.h"
#include "cli/wait.h"
#include "common/config/duration.h"

namespace joulefarm::cli {
namespace {

struct ExperimentOptions {
  std::string id;
  std::string format = "table";
  std::string timeout;
  bool wait = false;
  bool watch = false;
};

int RunGetExperiment(Session& session, const ExperimentOptions& options) {
  if (!options.timeout.empty() && !options.wait && !options.watch)
    return session.FailUsage("--timeout is for --wait and --watch: add one of them");
  if (!options.wait && !options.watch)
    return RunGet(session, ExperimentListing(), options.id, options.format);
  WaitOptions wait;
  wait.experiment = options.id;
  wait.watch = options.watch;
  if (!options.timeout.empty()) {
    const auto timeout = ParseDuration(options.timeout);
    if (!timeout.ok())
      return session.FailUsage(
          absl::StrCat("--timeout: ", absl::string_view(timeout.status().message())));
    wait.timeout = std::chrono::nanoseconds(*timeout);
  }
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  return WaitAndReport(session, **client, wait);
}

int RunCancelExperiments(Session& session, const std::vector<std::string>& ids) {
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  int exit = kExitOk;
  for (const std::string& id : ids) {
    const auto response = (*client)->CancelExperiment(id);
    if (!response.ok()) {
      exit = session.Fail(response.status());
      continue;
    }
    session.console().out << response->experiment() << ": "
                          << (response->jobs() == 0
                                  ? "nothing left to cancel"
                                  : absl::StrCat("canceled ", response->jobs(),
                                                 response->jobs() == 1 ? " job" : " jobs"))
                          << '\n';
  }
  return exit;
}

}  // namespace

Listing ExperimentListing() {
  return {v1::LISTING_EXPERIMENTS, "experiments", [](const Table&) { return ExperimentView(); }};
}

void AddExperiment(CLI::App& app, Session& session) {
  CLI::App* group = AddGroup(app, "experiment", "What was submitted",
                             "  joulefarm experiment list\n"
                             "  joulefarm experiment get exp-1 --watch\n"
                             "  joulefarm experiment cancel exp-1");
  group->group("Running experiments");

  auto options = std::make_shared<ListingOptions>();
  CLI::App* list = AddCommand(*group, "list", "List experiments, newest first",
                              "  joulefarm experiment list --limit 10");
  AddListingOptions(*list, *options);
  list->add_option("--name", options->named["name"], "of this name")->type_name("NAME");
  list->callback([options, &session] {
    session.action = [options, &session] {
      return RunListing(session, ExperimentListing(), *options);
    };
  });

  auto get_options = std::make_shared<ExperimentOptions>();
  CLI::App* get =
      AddCommand(*group, "get",
                 "Everything known about one experiment; --wait or --watch follow it to its end",
                 "  joulefarm experiment get quant-sweep -o json\n"
                 "  joulefarm experiment get exp-1 --watch\n"
                 "  joulefarm experiment get exp-1 --wait --timeout 1h");
  get->add_option("EXPERIMENT", get_options->id,
                  "id, or the name of the newest experiment so named")
      ->required();
  AddFormat(*get, get_options->format);
  get->add_flag("--wait", get_options->wait,
                "watch until every job has ended, then print the result summary");
  get->add_flag("--watch", get_options->watch,
                "the same, and show what the devices do: runs, tokens/s, watts, temperature");
  get->add_option("--timeout", get_options->timeout,
                  "stop watching after this time (exit code 4); the jobs go on")
      ->type_name("DURATION");
  get->callback([=, &session] {
    session.action = [=, &session] { return RunGetExperiment(session, *get_options); };
  });

  auto ids = std::make_shared<std::vector<std::string>>();
  CLI::App* cancel = AddCommand(*group, "cancel", "Cancel the jobs that have not ended",
                                "  joulefarm experiment cancel exp-1");
  cancel->add_option("EXPERIMENT", *ids, "ids, or names (the newest so named)")->required();
  cancel->callback([=, &session] {
    session.action = [=, &session] { return RunCancelExperiments(session, *ids); };
  });
  AddExperimentReport(*group, session);
}

}  // namespace joulefarm::cli
