#include <CLI/App.hpp>
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/output/text.h"
#include "cli/wait.h"
#include "common/config/duration.h"

namespace joulefarm::cli {
namespace {

int RunCancelJobs(Session& session, const std::vector<std::string>& ids) {
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

struct JobWatchOptions {
  std::vector<std::string> ids;
  std::string timeout;
};

int RunWatch(Session& session, const JobWatchOptions& options) {
  WaitOptions wait;
  for (const std::string& id : options.ids) {
    if (std::find(wait.jobs.begin(), wait.jobs.end(), id) == wait.jobs.end())
      wait.jobs.push_back(id);
  }
  wait.watch = true;
  if (!options.timeout.empty()) {
    const auto timeout = ParseDuration(options.timeout);
    if (!timeout.ok()) {
      return session.FailUsage(
          absl::StrCat("--timeout: ", absl::string_view(timeout.status().message())));
    }
    wait.timeout = std::chrono::nanoseconds(*timeout);
  }
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  return WaitForJobsAndReport(session, **client, wait);
}

void AddWatch(CLI::App& group, Session& session) {
  auto options = std::make_shared<JobWatchOptions>();
  CLI::App* watch =
      AddCommand(group, "watch", "Follow jobs to their end, with what their devices do",
                 "  joulefarm job watch job-7\n"
                 "  joulefarm job watch job-7 job-8 --timeout 1h",
                 "Exits like submit --wait: 0 only when every one succeeded. Ctrl-C "
                 "only stops watching.");
  watch->add_option("JOB", options->ids, "job ids")->required();
  watch
      ->add_option("--timeout", options->timeout,
                   "stop watching after this time (exit code 4); the jobs go on")
      ->type_name("DURATION");
  watch->callback(
      [=, &session] { session.action = [=, &session] { return RunWatch(session, *options); }; });
}

}  // namespace

Listing JobListing() { return {v1::LISTING_JOBS, "jobs", JobView}; }

void AddJob(CLI::App& app, Session& session) {
  CLI::App* group = AddGroup(app, "job", "One cell of an experiment on one device",
                             "  joulefarm job list --experiment exp-1 --state FAILED\n"
                             "  joulefarm job watch job-7\n"
                             "  joulefarm job logs job-7 -f\n"
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
      [=, &session] { session.action = [=, &session] { return RunCancelJobs(session, *ids); }; });

  AddWatch(*group, session);
  AddJobLogs(*group, session);
}

}  // namespace joulefarm::cli
