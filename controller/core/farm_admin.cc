// Farm: devices taken out of service and back by operators.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/text/no_such.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

void Farm::On(const SetDeviceRequested& input) {
  const auto it = devices_.find(input.device);
  if (it == devices_.end()) {
    Refuse(input.token, absl::NotFoundError(NoSuch("device", input.device)));
    return;
  }
  Device& device = it->second;
  const std::string why = input.reason.empty() ? "" : absl::StrCat(": ", input.reason);
  if (input.admin.has_value()) {
    const bool idle = device.alloc == v1::DEVICE_ALLOC_FREE;
    device.admin = *input.admin == v1::DEVICE_ADMIN_DRAINING && idle ? v1::DEVICE_ADMIN_MAINTENANCE
                                                                     : *input.admin;
    Put(device);
    Tell("device", device.id,
         absl::StrCat(v1::DeviceAdmin_Name(device.admin).substr(sizeof("DEVICE_ADMIN_") - 1),
                      " by an operator", why));
    if (*input.admin == v1::DEVICE_ADMIN_DRAINING) MoveAway(device.id);
  }
  if (input.health.has_value()) {
    device.failed_job.clear();
    SetHealth(device, *input.health, absl::StrCat("by an operator", why));
    DropHealthCheck(device);  // after that: the device may be free then
    if (*input.health == v1::DEVICE_HEALTH_QUARANTINED) MoveAway(device.id);
  }
  Dispatch(device.id);
  v1::SetDeviceResponse response;
  response.set_admin(device.admin);
  response.set_health(device.health);
  response.set_alloc(device.alloc);
  if (const auto attempt = attempts_.find(device.fence.value_or(0)); attempt != attempts_.end())
    response.set_job(attempt->second.job_id);
  Reply(input.token, std::move(response));
}

// What waits for the device and may run elsewhere goes there, if there is one for it.
void Farm::MoveAway(const std::string& device_id) {
  std::vector<std::string> waiting;
  if (const auto queues = queues_.find(device_id); queues != queues_.end()) {
    for (const auto& [need, queue] : queues->second) {
      for (const auto& [key, job] : queue) {
        if (!jobs_.at(job).pinned) waiting.push_back(job);
      }
    }
  }
  std::set<std::string> devices;
  for (const std::string& id : waiting) {
    Job& job = jobs_.at(id);
    Dequeue(job);
    Rebind(job);
    Enqueue(job);
    if (job.device_id == device_id) continue;
    Put(job);
    devices.insert(job.device_id);
  }
  DispatchInTurn(devices);
}

}  // namespace joulefarm::controller
