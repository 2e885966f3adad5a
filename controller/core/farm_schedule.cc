// Farm: queues, grants, and deadlines that pass.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/experiment/device_attributes.h"
#include "common/experiment/selector.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

namespace {

// A device that gives way to an older job of another looks again after so long at the latest.
constexpr std::int64_t kLongestWayNs = 30'000'000'000;

bool IsMeasured(const Need& need) { return need.power != v1::POWER_REQUIRE_NONE; }

}  // namespace

Need Farm::NeedOf(const Job& job) {
  if (job.spec == nullptr) return {};
  const v1::JobSpec& spec = *job.spec;
  return {spec.power(), spec.power_channel(), spec.min_rate_hz(), spec.cut_usb()};
}

bool Farm::TakesJobs(const Device& device) {
  return device.admin == v1::DEVICE_ADMIN_ENABLED && device.health != v1::DEVICE_HEALTH_QUARANTINED;
}

// A cordon is for a while, and keeps which device was to run what.
bool Farm::GivesAway(const Device& device) {
  return device.admin == v1::DEVICE_ADMIN_DRAINING ||
         device.health == v1::DEVICE_HEALTH_QUARANTINED;
}

// How many jobs are queued for it.
std::size_t Farm::Waiting(const std::string& device_id) const {
  std::size_t waiting = 0;
  if (const auto queues = queues_.find(device_id); queues != queues_.end()) {
    for (const auto& [need, queue] : queues->second) waiting += queue.size();
  }
  return waiting;
}

void Farm::Enqueue(Job& job) {
  queues_[job.device_id][NeedOf(job)][{job.priority, job.number}] = job.id;
}

void Farm::Dequeue(const Job& job) {
  const auto it = queues_.find(job.device_id);
  if (it == queues_.end()) return;
  const auto queue = it->second.find(NeedOf(job));
  if (queue == it->second.end()) return;
  queue->second.erase({job.priority, job.number});
  if (queue->second.empty()) it->second.erase(queue);
  if (!it->second.empty()) return;
  queues_.erase(it);
  const auto device = devices_.find(job.device_id);
  // While it is held the reason is that of the attempt.
  if (device != devices_.end() && !device->second.fence.has_value()) SetGate(device->second, "");
}

bool Farm::IsIdle(const Device& device) const {
  if (device.link != v1::DEVICE_LINK_ONLINE || device.alloc != v1::DEVICE_ALLOC_FREE ||
      !TakesJobs(device))
    return false;
  const auto rest = rests_.find(device.id);
  return rest == rests_.end() || rest->second.ready_at_boot_ns <= now_.boot_ns;
}

// Why a job that has everything waits all the same: one that comes before it, and cannot run beside
// it, is about to begin on an idle device or waits there for others' work to end, which this would
// prolong; empty: there is none. As only what comes first is waited for, nobody waits in a circle.
std::string Farm::GivesWay(const Device& device, const QueueKey& key, const Need& own) const {
  const std::set<std::string> on_meter = SharersOf(device);
  const std::set<std::string> on_port = OnPortOf(device);
  for (const auto* neighbours : {&on_meter, &on_port}) {
    for (const std::string& id : *neighbours) {
      const auto queues = queues_.find(id);
      const Device& other = devices_.at(id);
      if (queues == queues_.end() || !IsIdle(other)) continue;
      for (const auto& [need, queue] : queues->second) {
        const auto& [before, job] = *queue.begin();
        const bool at_odds = neighbours == &on_port ? need.cut_usb || own.cut_usb
                                                    : IsMeasured(need) || IsMeasured(own);
        if (!at_odds || !(before < key)) continue;
        const Gang gang = Assemble(other, need);
        if (!gang.blocked.empty() && !gang.by_work) continue;
        return absl::StrCat("waits: ", job, " of device ", id,
                            " comes before it, and not both can work on one ",
                            neighbours == &on_port ? "port" : "meter");
      }
    }
  }
  return "";
}

// Gives a free device the job that waited longest in the most urgent band, of those that can have
// everything they need beside it.
void Farm::Dispatch(const std::string& device_id) {
  const auto device = devices_.find(device_id);
  if (device == devices_.end()) return;
  Device& d = device->second;
  if (!IsIdle(d) || GrantHealthCheck(d)) return;
  std::optional<QueueKey> first;
  std::optional<QueueKey> first_blocked;
  std::optional<QueueKey> first_by_work;  // of those that only wait for others' work to end
  std::string work;                       // and for which
  std::string chosen;
  Need chosen_need;
  Gang gang;
  std::string why;
  if (const auto queues = queues_.find(device_id); queues != queues_.end()) {
    for (const auto& [need, queue] : queues->second) {
      const auto& [key, job] = *queue.begin();
      Gang of_need = Assemble(d, need);
      if (of_need.blocked.empty()) {
        if (first.has_value() && *first < key) continue;
        first = key;
        chosen = job;
        chosen_need = need;
        gang = std::move(of_need);
        continue;
      }
      // Of one that is tried again it says why that is.
      if (Job& head = jobs_.at(job); head.failure_class == v1::FAILURE_CLASS_UNSPECIFIED)
        SayReason(head, of_need.blocked);
      if (of_need.by_work && (!first_by_work.has_value() || key < *first_by_work)) {
        first_by_work = key;
        work = of_need.blocked;
      }
      if (first_blocked.has_value() && *first_blocked < key) continue;
      first_blocked = key;
      why = std::move(of_need.blocked);
    }
  }
  if (!chosen.empty()) {
    std::string way;
    if (first_by_work.has_value() && *first_by_work < *first) {
      way = work;  // its own older job has to have its turn, too
    } else {
      way = GivesWay(d, *first, chosen_need);
      if (Job& head = jobs_.at(chosen);
          !way.empty() && head.failure_class == v1::FAILURE_CLASS_UNSPECIFIED)
        SayReason(head, way);
    }
    if (!way.empty()) {
      // What it gives way to may go off without a word to this device.
      boot_deadlines_.Set(absl::StrCat("way/", device_id), now_.boot_ns + kLongestWayNs);
      why = std::move(way);
      chosen.clear();
    }
  }
  SetGate(d, chosen.empty() ? why : "");
  if (!chosen.empty()) Grant(jobs_.at(chosen), d, std::move(gang));
}

// A device that is not trusted is looked at before anything else is tried on it; only where what
// the look needs cannot be had now does it go on as before.
bool Farm::GrantHealthCheck(Device& device) {
  const auto it = jobs_.find(device.health_check);
  if (it == jobs_.end() || it->second.state != v1::JOB_STATE_QUEUED) return false;
  Gang gang = Assemble(device, NeedOf(it->second));
  if (!gang.blocked.empty()) return false;
  SetGate(device, "");
  Grant(it->second, device, std::move(gang));
  return true;
}

void Farm::SetGate(Device& device, const std::string& why) {
  if (device.gate_reason == why) return;
  device.gate_reason = why;
  Put(device);
}

void Farm::SayReason(Job& job, const std::string& why) {
  if (job.reason == why) return;
  job.reason = why;
  Put(job);
}

void Farm::DispatchAround(const std::string& device_id) {
  std::set<std::string> devices;
  if (const auto it = devices_.find(device_id); it != devices_.end())
    devices = AroundOf(it->second);
  devices.insert(device_id);
  DispatchInTurn(devices);
}

void Farm::DispatchInTurn(const std::set<std::string>& devices) {
  std::set<std::pair<QueueKey, std::string>> turns;
  for (const std::string& device : devices) {
    const auto queues = queues_.find(device);
    if (queues == queues_.end()) continue;
    QueueKey first = queues->second.begin()->second.begin()->first;
    for (const auto& [need, queue] : queues->second) first = std::min(first, queue.begin()->first);
    turns.emplace(first, device);
  }
  for (const auto& [key, device] : turns) Dispatch(device);
}

// All of the gang or nothing; the caller has seen that all of it is free.
void Farm::Grant(Job& job, Device& device, Gang gang) {
  // Whatever attempt was live before can no longer win.
  if (const Attempt* before = LiveAttempt(job)) Unhold(*before);
  Attempt attempt;
  attempt.fence = ++last_fence_;
  attempt.job_id = job.id;
  attempt.device_id = device.id;
  attempt.agent_id = device.agent_id;
  attempt.offered_wall_ns = now_.wall_ns;
  attempt.resources = std::move(gang.resources);
  AddHelpers(attempt);
  job.live_fence = attempt.fence;
  ++job.attempts;
  if (!job.started_wall_ns.has_value()) job.started_wall_ns = now_.wall_ns;
  wall_deadlines_.Clear(absl::StrCat("queue/", job.id));
  device.fence = attempt.fence;
  Put(attempt);
  if (!gang.left_out.empty()) {
    v1::Reason reason;
    reason.set_domain(v1::DOMAIN_ENERGY);
    reason.set_quality(v1::QUALITY_SUSPECT);
    reason.set_code("meter_left_out");
    reason.set_detail(gang.left_out);
    plan_.writes.push_back(AttemptReason{attempt.fence, 0, std::move(reason)});
  }
  attempts_of_[job.id].insert(attempt.fence);
  to_tidy_.insert(job.id);
  const Attempt& kept = attempts_[attempt.fence] = std::move(attempt);
  Move(job, JobEvent::kGranted, v1::FAILURE_CLASS_UNSPECIFIED, "");
  PutDevice(device, DeviceEvent::kOffered);
  TakeResources(kept, DeviceEvent::kOffered, std::nullopt);
  agents_[device.agent_id].attempts.insert(kept.fence);
  for (const Helper& helper : kept.helpers) {
    agents_[helper.agent_id].helps.insert(kept.fence);
    SendHelperGrant(kept, helper);
  }
  SendGrant(kept);
}

void Farm::SendGrant(const Attempt& attempt) {
  const AgentState& agent = agents_[attempt.agent_id];
  if (agent.session == 0 || WaitsForHelpers(attempt)) return;
  v1::ControllerMessage message;
  *message.mutable_grant() = MakeGrant(attempt, agent, 0);
  Send(agent.session, std::move(message));
  boot_deadlines_.Set(absl::StrCat("offer/", attempt.fence), now_.boot_ns + config_.ttl_ns);
}

v1::Grant Farm::MakeGrant(const Attempt& attempt, const AgentState& to, int source) const {
  v1::Grant grant;
  grant.set_fence(attempt.fence);
  grant.set_session_epoch(to.info.session_epoch);
  grant.set_device_id(attempt.device_id);
  grant.set_job_id(attempt.job_id);
  *grant.mutable_spec() = *jobs_.at(attempt.job_id).spec;
  grant.set_source(source);
  for (const v1::GrantedResource& resource : attempt.resources) *grant.add_resources() = resource;
  return grant;
}

// Another device for a job that may move: one within reach that is not the one it failed on, better
// one that is not suspect, and of those the one with the fewest jobs that wait; none: it stays.
void Farm::Rebind(Job& job) {
  const absl::StatusOr<Selector> selector = Selector::Parse(job.selector);
  if (!selector.ok()) return;
  const std::string failed_on = job.device_id;
  std::optional<std::pair<bool, std::size_t>> best;  // suspect, waiting
  for (const auto& [id, device] : devices_) {
    if (id == failed_on || device.link != v1::DEVICE_LINK_ONLINE || !TakesJobs(device)) continue;
    if (!selector->Matches(DeviceAttributes(id, device.agent_id, device.facts, device.labels)))
      continue;
    if (job.spec != nullptr && !IsMetered(device) && CannotMeasurePower(*job.spec, device.facts)) {
      continue;
    }
    const std::pair<bool, std::size_t> rank{
        device.health != v1::DEVICE_HEALTH_GOOD,
        Waiting(id) + (device.alloc == v1::DEVICE_ALLOC_FREE ? 0 : 1)};
    if (best.has_value() && *best <= rank) continue;
    best = rank;
    job.device_id = id;
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
    if (!absl::SimpleAtoi(rest, &fence)) return;
    const std::string device = attempts_.at(fence).device_id;
    Lose(fence, "its agent was out of reach for too long");
    DispatchAround(device);
  } else if (absl::ConsumePrefix(&rest, "offer/")) {
    Fence fence = 0;
    const auto it = absl::SimpleAtoi(rest, &fence) ? attempts_.find(fence) : attempts_.end();
    if (it == attempts_.end() || it->second.state != v1::ATTEMPT_STATE_OFFERED) return;
    const AgentState& agent = agents_[it->second.agent_id];
    if (agent.session == 0) return;
    // A new session settles what both sides know.
    plan_.effects.push_back(
        CloseSession{agent.session, absl::UnavailableError("a grant was not answered")});
  } else if (absl::ConsumePrefix(&rest, "helper-offer/") ||
             absl::ConsumePrefix(&rest, "helper-final/")) {
    Fence fence = 0;
    const auto it = absl::SimpleAtoi(rest, &fence) ? attempts_.find(fence) : attempts_.end();
    if (it != attempts_.end()) HelpersLate(it->second);
  } else if (absl::ConsumePrefix(&rest, "rest/") || absl::ConsumePrefix(&rest, "way/")) {
    DispatchAround(std::string(rest));
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
