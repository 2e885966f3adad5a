// Farm: what operators ask of it.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/experiment/device_attributes.h"
#include "common/experiment/selector.h"
#include "common/text/no_such.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

namespace {

constexpr std::size_t kMostJobs = 1'000'000;

void DescribeCells(const SubmitRequested& input, const std::vector<std::string>& devices,
                   v1::SubmitExperimentResponse& response) {
  for (const CellToRun& cell : input.cells) {
    v1::CellPlan& plan = *response.add_cells();
    plan.set_cell(cell.spec.cell());
    plan.set_workload(cell.spec.workload());
    plan.mutable_devices()->Assign(devices.begin(), devices.end());
    response.set_runs_per_job(cell.spec.repetitions());
  }
}

// "job-3  FAILED  INFRA  no llama.cpp on this device".
std::string FailureLine(const Job& job) {
  std::string line = absl::StrCat(
      job.id, "  ", v1::JobState_Name(job.state).substr(sizeof("JOB_STATE_") - 1), "  ");
  if (job.failure_class != v1::FAILURE_CLASS_UNSPECIFIED) {
    absl::StrAppend(
        &line, v1::FailureClass_Name(job.failure_class).substr(sizeof("FAILURE_CLASS_") - 1), "  ");
  }
  absl::StrAppend(&line, job.reason);
  return line;
}

}  // namespace

ExperimentState* Farm::FindExperiment(const std::string& id_or_name) {
  if (const auto it = experiments_.find(id_or_name); it != experiments_.end()) return &it->second;
  const auto named = newest_by_name_.find(id_or_name);
  return named == newest_by_name_.end() ? nullptr : &experiments_.at(named->second);
}

// Every matching device that is not retired and measures power if it must, or N of them: those
// that take jobs first, of them those within reach, of them those that are not suspect, then by
// id.
absl::Status Farm::ChooseDevices(const SubmitRequested& input, std::vector<std::string>& chosen,
                                 std::vector<std::string>& warnings) const {
  const absl::StatusOr<Selector> selector = Selector::Parse(input.selector);
  if (!selector.ok()) return selector.status();
  std::vector<std::pair<int, std::string>> matching;
  std::map<std::string, int> mismatches;
  int candidates = 0;
  std::vector<std::string> unmeasured;
  for (const auto& [id, device] : devices_) {
    if (device.admin == v1::DEVICE_ADMIN_RETIRED) continue;
    ++candidates;
    const auto attributes = DeviceAttributes(id, device.agent_id, device.facts, device.labels);
    if (!selector->Matches(attributes)) {
      ++mismatches[selector->ExplainMismatch(attributes)];
    } else if (std::any_of(input.cells.begin(), input.cells.end(),
                           [&facts = device.facts](const CellToRun& cell) {
                             return CannotMeasurePower(cell.spec, facts);
                           }) &&
               !IsMetered(device)) {
      unmeasured.push_back(id);
    } else {
      const bool good = device.health == v1::DEVICE_HEALTH_GOOD;
      const bool online = device.link == v1::DEVICE_LINK_ONLINE;
      matching.emplace_back(!TakesJobs(device) ? 3 : !online ? 2 : good ? 0 : 1, id);
    }
  }
  const std::string no_power =
      unmeasured.empty()
          ? ""
          : absl::StrCat("no measured power channel on ", absl::StrJoin(unmeasured, ", "),
                         " (power.require: required; `joulefarm-agent meters` there "
                         "shows what it has)");
  if (matching.empty() && candidates == 0) {
    return absl::FailedPreconditionError(
        "UNSATISFIABLE: no device is registered: start joulefarm-agent on one and look at "
        "`joulefarm device list`");
  }
  if (matching.empty() && !unmeasured.empty())
    return absl::FailedPreconditionError(absl::StrCat("UNSATISFIABLE: ", no_power));
  if (matching.empty()) {
    std::vector<std::string> parts;
    for (const auto& [predicate, count] : mismatches)
      parts.push_back(absl::StrCat("\"", predicate, "\" excludes ", count));
    return absl::FailedPreconditionError(
        absl::StrCat("UNSATISFIABLE: devices.selector \"", input.selector, "\" matches none of ",
                     candidates, " devices: ", absl::StrJoin(parts, ", "),
                     ": `joulefarm device list -o wide` shows what they have"));
  }
  if (input.device_count > 0 && matching.size() < static_cast<std::size_t>(input.device_count)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "UNSATISFIABLE: devices.count asks for ", input.device_count, " devices, and ",
        matching.size(), " of ", candidates, " match", no_power.empty() ? "" : ": ", no_power));
  }
  std::sort(matching.begin(), matching.end());
  if (input.device_count > 0) matching.resize(input.device_count);
  if (!no_power.empty()) warnings.push_back(absl::StrCat("left out: ", no_power));
  for (auto& [rank, id] : matching) chosen.push_back(std::move(id));
  std::sort(chosen.begin(), chosen.end());
  return absl::OkStatus();
}

void Farm::On(const SubmitRequested& input) {
  const std::string& request_id = input.experiment.request_id;
  if (const auto it = experiment_by_request_.find(request_id);
      !request_id.empty() && it != experiment_by_request_.end()) {
    const Experiment& earlier = experiments_.at(it->second).info;
    if (earlier.sha256 != input.experiment.sha256) {
      Refuse(input.token, absl::AlreadyExistsError(absl::StrCat(
                              "request id \"", request_id, "\" was used for ", earlier.id,
                              " with other content: use another --request-id")));
      return;
    }
    v1::SubmitExperimentResponse response;
    response.set_experiment(earlier.id);
    response.set_name(earlier.name);
    response.set_jobs(static_cast<int>(earlier.job_ids.size()));
    response.set_sha256(earlier.sha256);
    response.set_existing(true);
    response.set_blocks(static_cast<int>(input.block_orders.size()));
    std::set<std::string> devices;
    for (const std::string& id : earlier.job_ids) devices.insert(jobs_.at(id).device_id);
    DescribeCells(input, {devices.begin(), devices.end()}, response);
    Reply(input.token, std::move(response));
    return;
  }

  std::vector<std::string> devices;
  std::vector<std::string> warnings;
  const absl::Status chosen = ChooseDevices(input, devices, warnings);
  if (!chosen.ok() && !(input.dry_run && absl::IsFailedPrecondition(chosen))) {
    Refuse(input.token, chosen);
    return;
  }
  const std::size_t jobs = input.cells.size() * devices.size() * input.block_orders.size();
  if (jobs > kMostJobs) {
    Refuse(input.token, absl::InvalidArgumentError(absl::StrCat(
                            "the experiment has ", jobs, " jobs (", input.cells.size(), " cells × ",
                            devices.size(), " devices × ", input.block_orders.size(),
                            " blocks), and at most ", kMostJobs, " are taken: split it")));
    return;
  }

  v1::SubmitExperimentResponse response;
  response.set_name(input.experiment.name);
  response.set_sha256(input.experiment.sha256);
  response.set_jobs(static_cast<int>(jobs));
  response.set_blocks(static_cast<int>(input.block_orders.size()));
  DescribeCells(input, devices, response);
  response.mutable_warnings()->Assign(warnings.begin(), warnings.end());
  if (!chosen.ok()) {
    for (v1::CellPlan& plan : *response.mutable_cells())
      plan.set_blocked(std::string(chosen.message()));
  }
  if (input.dry_run) {
    Reply(input.token, std::move(response));
    return;
  }
  response.set_experiment(CreateJobs(input, devices));
  Reply(input.token, std::move(response));
  DispatchInTurn({devices.begin(), devices.end()});
}

std::string Farm::CreateJobs(const SubmitRequested& input,
                             const std::vector<std::string>& devices) {
  const std::string id = absl::StrCat("exp-", ++last_experiment_);
  ExperimentState& experiment = experiments_[id];
  experiment.info = input.experiment;
  experiment.info.id = id;
  experiment.info.submitted_wall_ns = now_.wall_ns;
  const auto experiment_at = static_cast<std::ptrdiff_t>(plan_.writes.size());
  for (std::size_t block = 0; block < input.block_orders.size(); ++block) {
    for (const int cell : input.block_orders[block]) {
      v1::JobSpec resolved = input.cells[cell].spec;
      resolved.set_experiment(id);
      resolved.set_block(static_cast<int>(block));
      const auto spec = std::make_shared<const v1::JobSpec>(std::move(resolved));
      for (const std::string& device : devices) {
        Job job;
        job.number = ++last_job_;
        job.id = absl::StrCat("job-", job.number);
        job.experiment = id;
        job.spec = spec;
        job.device_id = device;
        job.pinned = input.device_count == 0;
        job.selector = input.selector;
        job.priority = input.priority;
        job.retries_left = input.retries;
        job.lost_after_ns = input.lost_after_ns;
        job.submitted_wall_ns = now_.wall_ns;
        experiment.info.job_ids.push_back(job.id);
        Job& kept = jobs_[job.id] = std::move(job);
        Count(kept, +1);
        SetWallLimits(kept);
        Enqueue(kept);
        Put(kept);
      }
    }
  }
  // Jobs refer to their experiment, so it is written first.
  plan_.writes.insert(plan_.writes.begin() + experiment_at, experiment.info);
  Tell("experiment", id, absl::StrCat("submitted: ", experiment.info.job_ids.size(), " jobs"));
  if (!experiment.info.request_id.empty()) experiment_by_request_[experiment.info.request_id] = id;
  newest_by_name_[experiment.info.name] = id;
  return id;
}

void Farm::CancelJob(Job& job) {
  constexpr char kWhy[] = "canceled by the operator";
  if (job.state == v1::JOB_STATE_ACTIVE) {
    CancelActive(job, v1::FAILURE_CLASS_UNSPECIFIED, kWhy);
  } else {
    Move(job, JobEvent::kCancel, v1::FAILURE_CLASS_UNSPECIFIED, kWhy);
  }
}

void Farm::CancelActive(Job& job, v1::FailureClass failure, const std::string& why) {
  Move(job, JobEvent::kCancel, failure, why);
  Attempt* attempt = LiveAttempt(job);
  if (attempt != nullptr && WaitsForHelpers(*attempt)) {
    EndAttempt(*attempt, AttemptEvent::kCanceled, failure, why);
    ReleaseDevice(*attempt, DeviceEvent::kReleasedClean, true);
    const std::string device = attempt->device_id;
    StopJob(job);
    DispatchAround(device);
    return;
  }
  const bool result_here = attempt != nullptr && final_stored_.count(attempt->fence) > 0;
  if (attempt != nullptr && (attempt->link != v1::DEVICE_LINK_OFFLINE || result_here)) {
    StopAttempt(*attempt, failure, why);
    return;
  }
  // Its agent had its lease and its grace already: nobody else will say that it stopped.
  if (attempt != nullptr) {
    EndAttempt(*attempt, AttemptEvent::kCanceled, failure, "its agent is out of reach");
    ReleaseDevice(*attempt, DeviceEvent::kReleasedDirty, false);
  }
  const std::string device = job.device_id;
  StopJob(job);
  DispatchAround(device);
}

void Farm::On(const CancelJobRequested& input) {
  const auto it = jobs_.find(input.job);
  if (it == jobs_.end()) {
    Refuse(input.token, absl::NotFoundError(NoSuch("job", input.job)));
    return;
  }
  CancelJob(it->second);
  v1::CancelJobResponse response;
  response.set_state(v1::JobState_Name(it->second.state).substr(sizeof("JOB_STATE_") - 1));
  Reply(input.token, std::move(response));
}

void Farm::On(const CancelExperimentRequested& input) {
  ExperimentState* experiment = FindExperiment(input.experiment);
  if (experiment == nullptr) {
    Refuse(input.token, absl::NotFoundError(NoSuch("experiment", input.experiment)));
    return;
  }
  int jobs = 0;
  for (const std::string& id : experiment->info.job_ids) {
    Job& job = jobs_.at(id);
    if (IsTerminal(job.state) || job.state == v1::JOB_STATE_CANCELING) continue;
    CancelJob(job);
    ++jobs;
  }
  v1::CancelExperimentResponse response;
  response.set_experiment(experiment->info.id);
  response.set_jobs(jobs);
  Reply(input.token, std::move(response));
}

void Farm::AddActive(const Job& job, v1::GetProgressResponse& response) {
  v1::ActiveJob& active = *response.add_active_jobs();
  active.set_job(job.id);
  active.set_device_id(job.device_id);
  if (job.spec != nullptr) active.set_cell(job.spec->cell());
  if (const Attempt* attempt = LiveAttempt(job)) {
    active.set_state(v1::AttemptState_Name(attempt->state).substr(sizeof("ATTEMPT_STATE_") - 1));
    active.set_detail(attempt->detail);
    active.set_fence(attempt->fence);
  }
}

void Farm::FillProgress(const Job& job, v1::GetProgressResponse& response) {
  response.set_jobs(1);
  response.set_done(IsTerminal(job.state));
  if (job.state == v1::JOB_STATE_QUEUED || job.state == v1::JOB_STATE_HELD) {
    response.set_queued(1);
  } else if (job.state == v1::JOB_STATE_SUCCEEDED) {
    response.set_succeeded(1);
  } else if (IsTerminal(job.state)) {
    if (job.state == v1::JOB_STATE_CANCELED) {
      response.set_canceled(1);
    } else {
      response.set_failed(1);
    }
    response.add_failures(FailureLine(job));
  } else {
    response.set_active(1);
    AddActive(job, response);
  }
}

void Farm::FillProgress(const ExperimentState& experiment, v1::GetProgressResponse& response) {
  response.set_jobs(static_cast<int>(experiment.info.job_ids.size()));
  response.set_queued(experiment.queued);
  response.set_active(experiment.active);
  response.set_succeeded(experiment.succeeded);
  response.set_failed(experiment.failed);
  response.set_canceled(experiment.canceled);
  response.set_done(experiment.queued + experiment.active == 0);
  for (const std::string& id : experiment.active_jobs) AddActive(jobs_.at(id), response);
  constexpr int kMostFailures = 20;
  for (const std::string& id : experiment.failed_jobs) {
    if (response.failures_size() == kMostFailures) break;
    response.add_failures(FailureLine(jobs_.at(id)));
  }
}

void Farm::On(const ProgressRequested& input) {
  const auto job = input.job.empty() ? jobs_.end() : jobs_.find(input.job);
  if (!input.job.empty() && job == jobs_.end()) {
    Refuse(input.token, absl::NotFoundError(NoSuch("job", input.job)));
    return;
  }
  const ExperimentState* experiment =
      FindExperiment(job == jobs_.end() ? input.experiment : job->second.experiment);
  if (experiment == nullptr) {
    Refuse(input.token, absl::NotFoundError(NoSuch("experiment", input.experiment)));
    return;
  }
  if (job != jobs_.end() && !input.experiment.empty() &&
      FindExperiment(input.experiment) != experiment) {
    Refuse(input.token, absl::NotFoundError(absl::StrCat(
                            "job ", input.job, " is not of experiment ", input.experiment)));
    return;
  }
  v1::GetProgressResponse response;
  response.set_experiment(experiment->info.id);
  response.set_name(experiment->info.name);
  if (job != jobs_.end()) {
    FillProgress(job->second, response);
  } else {
    FillProgress(*experiment, response);
  }
  Reply(input.token, std::move(response));
}

}  // namespace joulefarm::controller
