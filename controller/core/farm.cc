#include "controller/core/farm.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace joulefarm::controller {

Farm::Farm(FarmConfig config, FarmSnapshot snapshot, Instant now)
    : config_(std::move(config)),
      last_fence_(snapshot.last_fence),
      last_experiment_(snapshot.last_experiment),
      last_job_(snapshot.last_job),
      last_epoch_(snapshot.last_epoch),
      now_(now) {
  for (Experiment& experiment : snapshot.experiments) {
    if (!experiment.request_id.empty())
      experiment_by_request_[experiment.request_id] = experiment.id;
    newest_by_name_[experiment.name] = experiment.id;
    experiments_[experiment.id].info = std::move(experiment);
  }
  for (Agent& agent : snapshot.agents) agents_[agent.id].info = std::move(agent);
  for (Device& device : snapshot.devices) {
    agents_[device.agent_id].info.id = device.agent_id;
    agents_[device.agent_id].devices.insert(device.id);
    if (device.meter.has_value()) agents_[MeterAgent(device)].metered.insert(device.id);
    if (!device.port.empty()) on_port_[device.port].insert(device.id);
    devices_[device.id] = std::move(device);
  }
  for (Resource& resource : snapshot.resources) {
    agents_[resource.agent_id].info.id = resource.agent_id;
    agents_[resource.agent_id].resources.insert(resource.id);
    PlacePort(resource);
    resources_[resource.id] = std::move(resource);
  }
  for (Attempt& attempt : snapshot.attempts) {
    attempts_of_[attempt.job_id].insert(attempt.fence);
    attempts_[attempt.fence] = std::move(attempt);
  }
  for (Job& job : snapshot.jobs) {
    if (job.live_fence.has_value()) {
      if (const auto it = attempts_.find(*job.live_fence); it != attempts_.end()) {
        agents_[it->second.agent_id].attempts.insert(it->first);
        for (const Helper& helper : it->second.helpers) {
          if (!IsTerminal(helper.state)) agents_[helper.agent_id].helps.insert(it->first);
        }
      }
    }
    const std::string id = job.id;
    Job& kept = jobs_[id] = std::move(job);
    Count(kept, +1);
    if (IsTerminal(kept.state)) continue;
    SetWallLimits(kept);
    if (kept.state == v1::JOB_STATE_QUEUED) Enqueue(kept);
  }
  // Nobody is connected yet. Lease deadlines are never persisted: everyone gets a full lease to
  // come back.
  for (auto& [id, agent] : agents_) {
    agent.last_seen_boot_ns = now.boot_ns;
    if (agent.info.link == v1::DEVICE_LINK_OFFLINE && agent.attempts.empty() && agent.helps.empty())
      continue;
    LinkLost(agent, v1::DEVICE_LINK_UNKNOWN);
    boot_deadlines_.Set(absl::StrCat("lease/", id),
                        now.boot_ns + config_.ttl_ns + config_.grace_ns);
  }
  // As if they had just come. Those of helpers first: then none of them is asked to end.
  std::stable_sort(snapshot.finals.begin(), snapshot.finals.end(),
                   [](const SourceFinal& a, const SourceFinal& b) { return a.source > b.source; });
  for (const SourceFinal& final : snapshot.finals) On(FinalStored{final});
}

Plan Farm::TakeRecoveryPlan() { return std::exchange(plan_, {}); }

Plan Farm::Handle(const FarmInput& input, Instant now) {
  now_ = now;
  plan_ = {};
  std::visit([this](const auto& it) { On(it); }, input);
  ForgetAttempts();
  return std::exchange(plan_, {});
}

std::optional<std::int64_t> Farm::NextTickIn(Instant now) const {
  std::optional<std::int64_t> in;
  if (const auto at = boot_deadlines_.Earliest()) in = *at - now.boot_ns;
  if (const auto at = wall_deadlines_.Earliest()) {
    const std::int64_t wall = *at - now.wall_ns;
    in = in.has_value() ? std::min(*in, wall) : wall;
  }
  if (in.has_value()) *in = std::max<std::int64_t>(*in, 0);
  return in;
}

void Farm::Count(const Job& job, int delta) {
  ExperimentState& experiment = experiments_[job.experiment];
  if (job.state == v1::JOB_STATE_QUEUED || job.state == v1::JOB_STATE_HELD) {
    experiment.queued += delta;
  } else if (job.state == v1::JOB_STATE_SUCCEEDED) {
    experiment.succeeded += delta;
  } else if (IsTerminal(job.state)) {
    (job.state == v1::JOB_STATE_CANCELED ? experiment.canceled : experiment.failed) += delta;
    if (delta > 0) experiment.failed_jobs.push_back(job.id);
  } else {
    experiment.active += delta;
    if (delta > 0) {
      experiment.active_jobs.insert(job.id);
    } else {
      experiment.active_jobs.erase(job.id);
    }
  }
}

void Farm::Move(Job& job, JobEvent event, v1::FailureClass failure, const std::string& reason) {
  const auto next = Next(job.state, event);
  if (!next.has_value()) return;
  const bool was_queued = job.state == v1::JOB_STATE_QUEUED;
  if (was_queued) Dequeue(job);
  Count(job, -1);
  job.state = *next;
  job.reason = reason;
  job.failure_class = *next == v1::JOB_STATE_SUCCEEDED ? v1::FAILURE_CLASS_UNSPECIFIED : failure;
  if (IsTerminal(*next)) {
    job.finished_wall_ns = now_.wall_ns;
    if (job.live_fence.has_value()) {
      if (const auto it = attempts_.find(*job.live_fence); it != attempts_.end()) {
        Unhold(it->second);
        boot_deadlines_.Clear(absl::StrCat("lost/", it->first));
      }
      job.live_fence.reset();
    }
    wall_deadlines_.Clear(absl::StrCat("queue/", job.id));
    wall_deadlines_.Clear(absl::StrCat("total/", job.id));
    to_tidy_.insert(job.id);
  }
  Count(job, +1);
  if (*next == v1::JOB_STATE_QUEUED) Enqueue(job);
  Put(job);
  Tell("job", job.id,
       absl::StrCat(v1::JobState_Name(job.state), reason.empty() ? "" : ": ", reason));
  if (IsTerminal(*next)) EndHealthCheck(job);
}

void Farm::PutDevice(Device& device, DeviceEvent event) {
  const auto next = Next(device.alloc, event);
  if (!next.has_value()) return;
  device.alloc = *next;
  if (*next == v1::DEVICE_ALLOC_FREE || *next == v1::DEVICE_ALLOC_DIRTY) {
    device.fence.reset();
    device.gate_reason.clear();  // what its attempt waited for
  }
  if (*next == v1::DEVICE_ALLOC_FREE && device.admin == v1::DEVICE_ADMIN_DRAINING)
    device.admin = v1::DEVICE_ADMIN_MAINTENANCE;
  Put(device);
}

void Farm::Tell(const char* kind, const std::string& subject, const std::string& text) {
  plan_.writes.push_back(FarmEvent{now_.wall_ns, kind, subject, text});
}

void Farm::Send(SessionId session, v1::ControllerMessage message) {
  plan_.effects.push_back(SendToAgent{session, std::move(message)});
}

AgentState* Farm::AgentOf(SessionId session) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return nullptr;
  const auto agent = agents_.find(it->second.agent_id);
  return agent == agents_.end() ? nullptr : &agent->second;
}

Attempt* Farm::LiveAttempt(const Job& job) {
  if (!job.live_fence.has_value()) return nullptr;
  const auto it = attempts_.find(*job.live_fence);
  return it == attempts_.end() ? nullptr : &it->second;
}

// What is over and not its job's live one, once no device, agent or result on its way refers to it.
// Resources are given back when an attempt ends.
void Farm::ForgetAttempts() {
  for (const std::string& id : std::exchange(to_tidy_, {})) {
    const auto fences = attempts_of_.find(id);
    if (fences == attempts_of_.end()) continue;
    const std::optional<Fence> live = jobs_.at(id).live_fence;
    for (auto it = fences->second.begin(); it != fences->second.end();) {
      const Attempt& attempt = attempts_.at(*it);
      const auto device = devices_.find(attempt.device_id);
      const auto agent = agents_.find(attempt.agent_id);
      const bool needed =
          !IsTerminal(attempt.state) || live == *it || final_stored_.count(*it) > 0 ||
          (device != devices_.end() && device->second.fence == *it) ||
          (agent != agents_.end() && agent->second.attempts.count(*it) > 0) ||
          std::any_of(attempt.helpers.begin(), attempt.helpers.end(), [&](const Helper& helper) {
            return agents_[helper.agent_id].helps.count(*it) > 0;
          });
      if (needed) {
        ++it;
        continue;
      }
      attempts_.erase(*it);
      it = fences->second.erase(it);
    }
    if (fences->second.empty()) attempts_of_.erase(fences);
  }
}

void Farm::SetWallLimits(const Job& job) {
  if (job.spec == nullptr) return;
  const v1::LimitSpec& limits = job.spec->limits();
  if (limits.queue_ns() > 0 && !job.started_wall_ns.has_value()) {
    wall_deadlines_.Set(absl::StrCat("queue/", job.id), job.submitted_wall_ns + limits.queue_ns());
  }
  if (limits.total_ns() > 0) {
    wall_deadlines_.Set(absl::StrCat("total/", job.id), job.submitted_wall_ns + limits.total_ns());
  }
}

}  // namespace joulefarm::controller
