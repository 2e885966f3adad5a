// Farm: what results say of the device they come from.
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

// Two jobs in a row that failed by the device's fault make it SUSPECT, one that succeeds makes it
// GOOD. What fails for other reasons says nothing of the device.
void Farm::JudgeHealth(const Attempt& attempt, const v1::Final& final) {
  const auto it = devices_.find(attempt.device_id);
  if (it == devices_.end()) return;
  Device& device = it->second;
  if (final.outcome() == v1::OUTCOME_SUCCEEDED) {
    if (device.health != v1::DEVICE_HEALTH_SUSPECT && device.failed_job.empty()) return;
    if (device.health == v1::DEVICE_HEALTH_SUSPECT) {
      device.health = v1::DEVICE_HEALTH_GOOD;
      device.health_reason.clear();
      Tell("device", device.id, absl::StrCat("GOOD: ", attempt.job_id, " succeeded on it"));
    }
    device.failed_job.clear();
    Put(device);
    return;
  }
  if (final.failure_class() != v1::FAILURE_CLASS_DEVICE) return;
  const std::string before = std::exchange(device.failed_job, attempt.job_id);
  if (before == attempt.job_id) return;
  if (!before.empty() && device.health == v1::DEVICE_HEALTH_GOOD) {
    device.health = v1::DEVICE_HEALTH_SUSPECT;
    const std::string& why = final.reason();
    device.health_reason = absl::StrCat(before, " and ", attempt.job_id,
                                        " failed on it (DEVICE): ", why.substr(0, why.find('\n')));
    Tell("device", device.id, absl::StrCat("SUSPECT: ", device.health_reason));
  }
  Put(device);
}

}  // namespace joulefarm::controller
