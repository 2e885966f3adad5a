// A farm to look at: `joulefarm-fake-farm` answers from the samples until its input ends. For
// people who change what the CLI prints.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <optional>
#include <string>

#include "tests/cli/fake_farm.h"
#include "tests/cli/sample_tables.h"

namespace joulefarm::cli {
namespace {

v1::SubmitExperimentResponse SamplePlan(const v1::SubmitExperimentRequest& request) {
  v1::SubmitExperimentResponse response;
  if (!request.dry_run()) response.set_experiment("exp-1");
  response.set_name("quant-sweep");
  for (const char* model : {"tiny-f16", "tiny-q8_0", "tiny-q4_k_m"}) {
    v1::CellPlan* cell = response.add_cells();
    cell->set_cell(std::string("model=") + model);
    cell->set_workload("chat");
    cell->add_devices("edge-7f3a");
  }
  if (request.request_id() == "blocked") {
    response.mutable_cells(1)->clear_devices();
    response.mutable_cells(1)->set_blocked("no device has cores>=64 (edge-7f3a: 2)");
  }
  response.set_jobs(3);
  response.set_blocks(1);
  response.set_runs_per_job(4);
  return response;
}

// A job every three seconds from the first question on; the second one fails.
v1::GetProgressResponse SampleProgress(std::chrono::steady_clock::time_point start) {
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start)
          .count();
  const int ended = static_cast<int>(std::min<std::int64_t>(3, seconds / 3));
  v1::GetProgressResponse progress;
  progress.set_experiment("exp-1");
  progress.set_name("quant-sweep");
  progress.set_jobs(3);
  progress.set_failed(ended >= 2 ? 1 : 0);
  progress.set_succeeded(ended - progress.failed());
  progress.set_active(ended < 3 ? 1 : 0);
  progress.set_queued(3 - ended - progress.active());
  progress.set_done(ended == 3);
  if (progress.failed() > 0) {
    progress.add_failures(
        "job-2  edge-7f3a  model=tiny-q8_0  USER: llama-server ended with signal 6 (SIGABRT) while "
        "loading\nGGML_ASSERT(n_ctx > 0) failed");
  }
  if (ended < 3) {
    const char* models[] = {"tiny-f16", "tiny-q8_0", "tiny-q4_k_m"};
    v1::ActiveJob* job = progress.add_active_jobs();
    job->set_job("job-1");
    job->set_device_id("edge-7f3a");
    job->set_cell(std::string("model=") + models[ended]);
    job->set_state(seconds % 3 == 0 ? "PREPARING" : "RUNNING");
    job->set_detail(seconds % 3 == 0 ? "loading" : "run " + std::to_string(seconds % 3) + " of 4");
  }
  return progress;
}

int Main() {
  FakeFarm farm;
  std::optional<std::chrono::steady_clock::time_point> start;
  farm.OnSubmit([](const v1::SubmitExperimentRequest& request) { return SamplePlan(request); });
  farm.OnProgress([&](const v1::GetProgressRequest&) {
    if (!start) start = std::chrono::steady_clock::now();
    return SampleProgress(*start);
  });
  farm.OnList(SampleList);
  farm.OnSql([](const std::string&) { return SampleResults(); });
  farm.OnCancelJob([](const std::string&) { return std::string("CANCELING"); });
  farm.OnCancelExperiment([](const std::string&) { return 2; });
  std::cout << farm.address() << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
  }
  return 0;
}

}  // namespace
}  // namespace joulefarm::cli

int main() { return joulefarm::cli::Main(); }
