// Farm: what results say of the device they come from, and the job that looks when they say that
// something is wrong with it.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/sha256/sha256.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

namespace {

constexpr char kHealthCheck[] = "health-check";

// What failed, with something that cannot fail by itself in place of its work: the same gates,
// settling and power. A warm-up, so that nothing of it counts as a measurement. No gate of
// temperatures: what is too hot is THERMAL, and an experiment may ask for a sensor that was never
// there.
v1::JobSpec CheckSpec(const Job& failed) {
  v1::JobSpec spec;
  if (failed.spec != nullptr) {
    *spec.mutable_gates() = failed.spec->gates();
    spec.mutable_gates()->clear_max_temp_c();
    *spec.mutable_limits() = failed.spec->limits();
    spec.mutable_plan()->set_settle_ns(failed.spec->plan().settle_ns());
    spec.set_power(failed.spec->power());
    spec.set_power_channel(failed.spec->power_channel());
    spec.set_min_rate_hz(failed.spec->min_rate_hz());
    spec.set_cut_usb(failed.spec->cut_usb());
    spec.set_on_disconnect(failed.spec->on_disconnect());
  }
  spec.mutable_limits()->clear_queue_ns();
  spec.mutable_limits()->clear_total_ns();
  spec.set_cell(kHealthCheck);
  spec.set_workload(kHealthCheck);
  spec.mutable_command()->add_argv("sleep");
  spec.mutable_command()->add_argv("1");
  spec.set_warmup(1);
  return spec;
}

// The fault of what is around the device, or nobody's: the check has found out nothing.
bool SaysNothing(const Job& check) {
  return check.state != v1::JOB_STATE_FAILED || check.failure_class == v1::FAILURE_CLASS_INFRA ||
         check.failure_class == v1::FAILURE_CLASS_POLICY;
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

// Two jobs in a row that failed by the device's fault make it SUSPECT, and a check decides. What
// fails for other reasons says nothing of the device.
void Farm::JudgeHealth(const Attempt& attempt, const v1::Final& final) {
  const auto it = devices_.find(attempt.device_id);
  if (it == devices_.end()) return;
  Device& device = it->second;
  if (attempt.job_id == device.health_check) return;  // judged when it has no try left
  if (final.outcome() == v1::OUTCOME_SUCCEEDED) {
    if (!device.health_check.empty()) return;  // that one decides
    const bool cleared = device.health == v1::DEVICE_HEALTH_SUSPECT;
    if (!cleared && device.failed_job.empty()) return;
    device.failed_job.clear();
    if (cleared) {
      SetHealth(device, v1::DEVICE_HEALTH_GOOD, absl::StrCat(attempt.job_id, " succeeded on it"));
    } else {
      Put(device);
    }
    return;
  }
  if (final.failure_class() != v1::FAILURE_CLASS_DEVICE) return;
  const std::string before = std::exchange(device.failed_job, attempt.job_id);
  if (before == attempt.job_id) return;
  if (before.empty() || !device.health_check.empty() ||
      device.health == v1::DEVICE_HEALTH_QUARANTINED) {
    Put(device);
    return;
  }
  StartHealthCheck(device, jobs_.at(attempt.job_id));
  SetHealth(device, v1::DEVICE_HEALTH_SUSPECT,
            absl::StrCat(before, " and ", attempt.job_id,
                         " failed on it (DEVICE): ", FirstLine(final.reason())));
}

void Farm::StartHealthCheck(Device& device, const Job& failed) {
  SubmitRequested request;
  request.experiment.name = kHealthCheck;
  request.experiment.text = absl::StrCat(
      "# Made by the farm: device ", device.id, " after jobs failed on it by its fault, last ",
      failed.id, ".\n# `sleep 1` under the gates, settling and power of that job.\n");
  request.experiment.sha256 = Sha256Hex(request.experiment.text);
  request.cells.push_back({CheckSpec(failed)});
  request.cells.back().spec.set_experiment_sha256(request.experiment.sha256);
  request.block_orders = {{0}};
  request.selector = absl::StrCat("id=", device.id);
  request.priority = 0;
  request.lost_after_ns = failed.lost_after_ns;
  const std::string experiment = CreateJobs(request, {device.id});
  device.health_check = experiments_.at(experiment).info.job_ids.front();
}

// `job` has ended, whatever it was.
void Farm::EndHealthCheck(const Job& job) {
  const auto it = devices_.find(job.device_id);
  if (it == devices_.end() || it->second.health_check != job.id) return;
  Device& device = it->second;
  device.health_check.clear();
  if (job.state == v1::JOB_STATE_SUCCEEDED) {
    device.failed_job.clear();
    SetHealth(device, v1::DEVICE_HEALTH_GOOD,
              absl::StrCat("its health check ", job.id, " succeeded"));
  } else if (SaysNothing(job)) {
    // One more failure makes another check.
    Tell("device", device.id,
         absl::StrCat("still SUSPECT: its health check ", job.id, " found out nothing"));
    Put(device);
  } else {
    SetHealth(device, v1::DEVICE_HEALTH_QUARANTINED,
              absl::StrCat("its health check ", job.id, " failed: ", FirstLine(job.reason)));
    MoveAway(device.id);
  }
  Dispatch(device.id);
}

void Farm::SetHealth(Device& device, v1::DeviceHealth health, const std::string& why) {
  device.health = health;
  device.health_reason = health == v1::DEVICE_HEALTH_GOOD ? "" : why;
  Put(device);
  Tell("device", device.id,
       absl::StrCat(v1::DeviceHealth_Name(health).substr(sizeof("DEVICE_HEALTH_") - 1), ": ", why));
}

// Somebody has decided already.
void Farm::DropHealthCheck(Device& device) {
  const auto check = jobs_.find(std::exchange(device.health_check, ""));
  if (check == jobs_.end()) return;
  Put(device);
  CancelJob(check->second);
}

}  // namespace joulefarm::controller
