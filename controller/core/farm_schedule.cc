// Farm: queues, grants, and deadlines that pass.
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/experiment/device_attributes.h"
#include "common/experiment/selector.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

void Farm::Enqueue(Job& job) { queues_[job.device_id][{job.priority, job.number}] = job.id; }

void Farm::Dequeue(const Job& job) {
  const auto it = queues_.find(job.device_id);
  if (it == queues_.end()) return;
  it->second.erase({job.priority, job.number});
  if (it->second.empty()) queues_.erase(it);
}

// Gives a free device the job that waited longest in the most urgent band.
void Farm::Dispatch(const std::string& device_id) {
  const auto device = devices_.find(device_id);
  if (device == devices_.end()) return;
  const Device& d = device->second;
  if (d.link != v1::DEVICE_LINK_ONLINE || d.alloc != v1::DEVICE_ALLOC_FREE ||
      d.admin != v1::DEVICE_ADMIN_ENABLED || d.health == v1::DEVICE_HEALTH_QUARANTINED) {
    return;
  }
  if (const auto rest = rests_.find(device_id);
      rest != rests_.end() && rest->second.ready_at_boot_ns > now_.boot_ns)
    return;
  const auto queue = queues_.find(device_id);
  if (queue == queues_.end()) return;
  Grant(jobs_.at(queue->second.begin()->second), device->second);
}

void Farm::Grant(Job& job, Device& device) {
  // Whatever attempt was live before can no longer win.
  if (const Attempt* before = LiveAttempt(job))
    agents_[before->agent_id].attempts.erase(before->fence);
  Attempt attempt;
  attempt.fence = ++last_fence_;
  attempt.job_id = job.id;
  attempt.device_id = device.id;
  attempt.agent_id = device.agent_id;
  attempt.offered_wall_ns = now_.wall_ns;
  job.live_fence = attempt.fence;
  ++job.attempts;
  if (!job.started_wall_ns.has_value()) job.started_wall_ns = now_.wall_ns;
  wall_deadlines_.Clear(absl::StrCat("queue/", job.id));
  device.fence = attempt.fence;
  Put(attempt);
  attempts_of_[job.id].insert(attempt.fence);
  to_tidy_.insert(job.id);
  const Attempt& kept = attempts_[attempt.fence] = std::move(attempt);
  Move(job, JobEvent::kGranted, v1::FAILURE_CLASS_UNSPECIFIED, "");
  PutDevice(device, DeviceEvent::kOffered);
  agents_[device.agent_id].attempts.insert(kept.fence);
  SendGrant(kept);
}

void Farm::SendGrant(const Attempt& attempt) {
  const AgentState& agent = agents_[attempt.agent_id];
  if (agent.session == 0) return;
  const Job& job = jobs_.at(attempt.job_id);
  v1::ControllerMessage message;
  v1::Grant& grant = *message.mutable_grant();
  grant.set_fence(attempt.fence);
  grant.set_session_epoch(agent.info.session_epoch);
  grant.set_device_id(attempt.device_id);
  grant.set_job_id(attempt.job_id);
  *grant.mutable_spec() = *job.spec;
  Send(agent.session, std::move(message));
  boot_deadlines_.Set(absl::StrCat("offer/", attempt.fence), now_.boot_ns + config_.ttl_ns);
}

// Another device for a job that may move: one within reach that is not the one it failed on; none:
// it stays.
void Farm::Rebind(Job& job) {
  const absl::StatusOr<Selector> selector = Selector::Parse(job.selector);
  if (!selector.ok()) return;
  for (const auto& [id, device] : devices_) {
    if (id == job.device_id || device.link != v1::DEVICE_LINK_ONLINE ||
        device.admin != v1::DEVICE_ADMIN_ENABLED ||
        device.health == v1::DEVICE_HEALTH_QUARANTINED) {
      continue;
    }
    if (!selector->Matches(DeviceAttributes(id, device.agent_id, device.facts, device.labels)))
      continue;
    if (job.spec != nullptr && CannotMeasurePower(*job.spec, device.facts)) continue;
    job.device_id = id;
    return;
  }
}

void Farm::On(const Tick&) {
  while (const auto key = boot_deadlines_.PopDue(now_.boot_ns)) OnDue(*key);
  while (const auto key = wall_deadlines_.PopDue(now_.wall_ns)) OnDue(*key);
}

void Farm::OnDue(const std::string& key) {
  absl::string_view rest = key;
  if (absl::ConsumePrefix(&rest, "lease/")) {
    if (const auto it = agents_.find(std::string(rest)); it != agents_.end())
      LeaseLapsed(it->second);
  } else if (absl::ConsumePrefix(&rest, "lost/")) {
    Fence fence = 0;
    if (absl::SimpleAtoi(rest, &fence)) Lose(fence, "its agent was out of reach for too long");
  } else if (absl::ConsumePrefix(&rest, "offer/")) {
    Fence fence = 0;
    const auto it = absl::SimpleAtoi(rest, &fence) ? attempts_.find(fence) : attempts_.end();
    if (it == attempts_.end() || it->second.state != v1::ATTEMPT_STATE_OFFERED) return;
    const AgentState& agent = agents_[it->second.agent_id];
    if (agent.session == 0) return;
    // A new session settles what both sides know.
    plan_.effects.push_back(
        CloseSession{agent.session, absl::UnavailableError("a grant was not answered")});
  } else if (absl::ConsumePrefix(&rest, "rest/")) {
    Dispatch(std::string(rest));
  } else if (absl::ConsumePrefix(&rest, "queue/")) {
    Move(jobs_.at(std::string(rest)), JobEvent::kExpired, v1::FAILURE_CLASS_TIMEOUT,
         "limits.queue passed before a device was free");
  } else if (absl::ConsumePrefix(&rest, "total/")) {
    Job& job = jobs_.at(std::string(rest));
    if (job.state == v1::JOB_STATE_ACTIVE) {
      CancelActive(job, v1::FAILURE_CLASS_TIMEOUT, "limits.total passed");
    } else {
      Move(job, JobEvent::kExpired, v1::FAILURE_CLASS_TIMEOUT, "limits.total passed");
    }
  }
}

}  // namespace joulefarm::controller
