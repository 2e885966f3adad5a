// Farm: who is connected, what they hold, and what becomes of it when they are gone.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

namespace {

// When an agent was heard of last is stored no more often than this: not a commit per heartbeat.
constexpr std::int64_t kLastSeenEveryNs = 60'000'000'000;

}  // namespace

void Farm::On(const AgentHello& input) {
  const v1::Hello& hello = input.hello;
  AgentState& agent = agents_[hello.agent_id()];
  EndOlderSession(agent, input);

  const std::int64_t epoch = ++last_epoch_;
  plan_.writes.push_back(EpochTaken{epoch});
  sessions_[input.session] = AgentSession{hello.agent_id(), epoch};
  agent.session = input.session;
  agent.last_seen_boot_ns = now_.boot_ns;
  agent.last_seen_written_boot_ns = now_.boot_ns;
  agent.info.id = hello.agent_id();
  agent.info.boot_id = hello.boot_id();
  agent.info.instance = hello.instance();
  agent.info.version = hello.version();
  agent.info.link = v1::DEVICE_LINK_ONLINE;
  agent.info.session_epoch = epoch;
  agent.info.last_seen_wall_ns = now_.wall_ns;
  Put(agent.info);
  Tell("agent", agent.info.id,
       absl::StrCat("session ", epoch, " opened, ", hello.held_size(), " attempts held"));
  boot_deadlines_.Set(absl::StrCat("lease/", agent.info.id),
                      now_.boot_ns + config_.ttl_ns + config_.grace_ns);

  if (hello.highest_fence() > last_fence_) {
    Tell("farm", "fence",
         absl::StrCat("ALERT: agent ", agent.info.id, " knows fence ", hello.highest_fence(),
                      " but the counter stood at ", last_fence_,
                      ": was an older backup restored? Counter raised."));
    last_fence_ = hello.highest_fence();
    plan_.writes.push_back(FenceBumped{last_fence_});
  }

  plan_.effects.push_back(SessionOpened{input.session, agent.info.id, epoch});
  v1::ControllerMessage message;
  v1::Welcome& welcome = *message.mutable_welcome();
  welcome.set_session_epoch(epoch);
  welcome.set_ttl_ns(config_.ttl_ns);
  welcome.set_heartbeat_ns(config_.heartbeat_ns);
  welcome.set_controller_instance(config_.instance);
  const std::size_t welcome_at = plan_.effects.size();
  plan_.effects.push_back(SendToAgent{});  // filled below: what follows may add grants and cancels,
                                           // which must come after
  // Also those around its devices as they were: what they wait for may have gone elsewhere.
  std::set<std::string> waiting = WaitingOn(agent);
  AdoptResources(agent, hello, welcome);
  AdoptDevices(agent, hello, welcome);
  LoseAbsent(agent, hello);
  LoseAbsentHelpers(agent, hello);
  JudgeHeld(agent, input, welcome);
  // The agent's word counts for devices that no attempt holds after the verdicts.
  for (const v1::DeviceAnnouncement& said : hello.devices()) {
    if (welcome.refused_devices().count(said.device_id()) > 0) continue;
    PutDevice(devices_[said.device_id()],
              said.clean() ? DeviceEvent::kReportedClean : DeviceEvent::kReportedDirty);
  }
  plan_.effects[welcome_at] = SendToAgent{input.session, std::move(message)};
  ResendOffers(agent);
  ResendToHelper(agent);
  // What found no place before may have one now.
  for (const auto& [id, device] : devices_) {
    if (GivesAway(device) && queues_.count(id) > 0) MoveAway(id);
  }
  waiting.merge(WaitingOn(agent));
  DispatchInTurn(waiting);
}

void Farm::EndOlderSession(AgentState& agent, const AgentHello& input) {
  if (agent.session == 0) return;
  // The same process dialling again is a reconnect; another process is a second copy, and the older
  // one must give up for good.
  const bool same_process = agent.info.instance == input.hello.instance();
  plan_.effects.push_back(CloseSession{
      agent.session, same_process
                         ? absl::UnavailableError("this process has opened a newer session")
                         : absl::AbortedError(absl::StrCat(
                               "another process has taken over agent id \"", agent.info.id,
                               "\": stop one of the two, or give one another --id"))});
  sessions_.erase(agent.session);
  agent.session = 0;
}

void Farm::AdoptDevices(AgentState& agent, const v1::Hello& hello, v1::Welcome& welcome) {
  std::set<std::string> announced;
  for (const v1::DeviceAnnouncement& said : hello.devices()) {
    const auto known = devices_.find(said.device_id());
    if (known != devices_.end() && known->second.agent_id != agent.info.id &&
        known->second.link != v1::DEVICE_LINK_OFFLINE) {
      const std::string why =
          absl::StrCat("device \"", said.device_id(), "\" already belongs to agent \"",
                       known->second.agent_id, "\": give one of the two another id");
      (*welcome.mutable_refused_devices())[said.device_id()] = why;
      Tell("device", said.device_id(),
           absl::StrCat("refused from agent ", agent.info.id, ": ", why));
      continue;
    }
    if (known != devices_.end() && known->second.agent_id != agent.info.id) {
      agents_[known->second.agent_id].devices.erase(said.device_id());
    }
    announced.insert(said.device_id());
    Device& device = devices_[said.device_id()];
    if (device.meter.has_value()) agents_[MeterAgent(device)].metered.erase(device.id);
    device.id = said.device_id();
    device.agent_id = agent.info.id;
    device.link = v1::DEVICE_LINK_ONLINE;
    device.facts = said.facts();
    device.labels = {said.labels().begin(), said.labels().end()};
    device.meter.reset();
    if (said.has_meter()) device.meter = said.meter();
    HangOn(device, said.port());
    if (device.meter.has_value()) agents_[MeterAgent(device)].metered.insert(device.id);
    Put(device);
  }
  for (const std::string& id : agent.devices) {
    if (announced.count(id) > 0) continue;
    Device& device = devices_[id];
    device.link = v1::DEVICE_LINK_OFFLINE;
    if (!device.fence.has_value()) device.gate_reason.clear();
    Put(device);
  }
  agent.devices.insert(announced.begin(), announced.end());
  // What it refused before belongs to an earlier life of the agent.
  for (const std::string& id : agent.devices) {
    rests_.erase(id);
    boot_deadlines_.Clear(absl::StrCat("rest/", id));
  }
}

// What the agent accepted and no longer knows is gone: its process lost it.
void Farm::LoseAbsent(AgentState& agent, const v1::Hello& hello) {
  std::set<Fence> held;
  for (const v1::HeldAttempt& attempt : hello.held()) held.insert(attempt.fence());
  const std::set<Fence> ours = agent.attempts;
  for (const Fence fence : ours) {
    if (held.count(fence) > 0 || final_stored_.count(fence) > 0) continue;
    const Attempt& attempt = attempts_.at(fence);
    if (attempt.state == v1::ATTEMPT_STATE_OFFERED) continue;  // sent again
    Lose(fence, "its agent no longer knows it");
  }
}

void Farm::JudgeHeld(AgentState& agent, const AgentHello& input, v1::Welcome& welcome) {
  for (const v1::HeldAttempt& held : input.hello.held()) {
    v1::HeldVerdict& verdict = *welcome.add_verdicts();
    verdict.set_fence(held.fence());
    verdict.set_verdict(held.source() == 0 ? Judge(agent, held) : JudgeHelper(agent, held));
    for (const v1::StreamCursor& cursor : input.cursors) {
      if (cursor.fence() == held.fence() && cursor.source() == held.source())
        *verdict.add_cursors() = cursor;
    }
  }
}

v1::VerdictKind Farm::Judge(AgentState& agent, const v1::HeldAttempt& held) {
  const bool over = held.state() == v1::ATTEMPT_STATE_UPLOADING || IsTerminal(held.state());
  const auto it = attempts_.find(held.fence());
  const auto job_it = it == attempts_.end() ? jobs_.end() : jobs_.find(it->second.job_id);
  const bool wanted = job_it != jobs_.end() && job_it->second.live_fence == held.fence();
  // What is over and unwanted is still sent: the store keeps it as evidence.
  if (!wanted) return over ? v1::VERDICT_KIND_UPLOAD_ONLY : v1::VERDICT_KIND_ABORT;

  Attempt& attempt = it->second;
  Job& job = job_it->second;
  attempt.link = v1::DEVICE_LINK_ONLINE;
  boot_deadlines_.Clear(absl::StrCat("lost/", attempt.fence));
  bool moved = false;
  if (attempt.state == v1::ATTEMPT_STATE_LOST) {
    moved = true;
    // It came back before another was granted, so it may still win.
    attempt.state = *Next(attempt.state, AttemptEvent::kReturned);
    attempt.ended_wall_ns.reset();
    ++job.retries_left;  // losing sight of it cost one, and nothing was lost
    Dequeue(job);
    job.device_id = attempt.device_id;
    Move(job, JobEvent::kReturned, v1::FAILURE_CLASS_UNSPECIFIED, "its attempt came back");
    NoteMeterLost(attempt, 0,
                  "the agent was thought lost for a while, and others may have drawn through it");
    for (const Helper& helper : attempt.helpers) {
      NoteMeterLost(attempt, helper.source,
                    "it was let go while the agent of the device was out of reach");
    }
  }
  if (const auto event = EventOfReport(held.state())) {
    if (const auto next = Next(attempt.state, *event)) {
      attempt.state = *next;
      moved = true;
    }
  }
  if (moved) attempt.detail.clear();  // of the state before
  Put(attempt);
  Device& device = devices_[attempt.device_id];
  device.fence = attempt.fence;
  PutDevice(device, DeviceEvent::kAccepted);
  if (moved) SayWait(attempt, "");
  TakeResources(attempt, DeviceEvent::kAccepted, std::nullopt);
  agent.attempts.insert(attempt.fence);
  if (over) return v1::VERDICT_KIND_UPLOAD_ONLY;
  if (job.state == v1::JOB_STATE_CANCELING) {
    StopAttempt(attempt, job.failure_class, job.reason);
  }
  return v1::VERDICT_KIND_CONTINUE;
}

void Farm::ResendOffers(AgentState& agent) {
  for (const Fence fence : agent.attempts) {
    Attempt& attempt = attempts_.at(fence);
    if (attempt.state != v1::ATTEMPT_STATE_OFFERED) continue;
    if (attempt.link != v1::DEVICE_LINK_ONLINE) {
      attempt.link = v1::DEVICE_LINK_ONLINE;
      Put(attempt);
    }
    SendGrant(attempt);
    const Job& job = jobs_.at(attempt.job_id);
    if (job.state == v1::JOB_STATE_CANCELING) StopAttempt(attempt, job.failure_class, job.reason);
  }
}

void Farm::On(const AgentAlive& input) {
  AgentState* agent = AgentOf(input.session);
  if (agent == nullptr) return;
  agent->last_seen_boot_ns = now_.boot_ns;
  if (now_.boot_ns - agent->last_seen_written_boot_ns >= kLastSeenEveryNs) {
    agent->last_seen_written_boot_ns = now_.boot_ns;
    agent->info.last_seen_wall_ns = now_.wall_ns;
    Put(agent->info);
  }
  boot_deadlines_.Set(absl::StrCat("lease/", agent->info.id),
                      now_.boot_ns + config_.ttl_ns + config_.grace_ns);
  if (!input.heartbeat_seq.has_value()) return;
  v1::ControllerMessage message;
  v1::HeartbeatAck& ack = *message.mutable_heartbeat_ack();
  ack.set_seq(*input.heartbeat_seq);
  for (const Fence fence : agent->attempts) {
    const auto job = jobs_.find(attempts_.at(fence).job_id);
    if (job != jobs_.end() && job->second.state == v1::JOB_STATE_CANCELING)
      ack.add_cancel_fences(fence);
  }
  Send(input.session, std::move(message));
}

void Farm::On(const AgentGone& input) {
  AgentState* agent = AgentOf(input.session);
  sessions_.erase(input.session);
  if (agent == nullptr || agent->session != input.session) return;
  agent->session = 0;
  LinkLost(*agent, v1::DEVICE_LINK_UNKNOWN);
  boot_deadlines_.Set(absl::StrCat("lease/", agent->info.id),
                      agent->last_seen_boot_ns + config_.ttl_ns + config_.grace_ns);
}

void Farm::On(const DeviceReported& input) {
  const AgentState* agent = AgentOf(input.session);
  const auto it = devices_.find(input.report.device_id());
  if (agent == nullptr || it == devices_.end() || it->second.agent_id != agent->info.id) return;
  PutDevice(it->second,
            input.report.clean() ? DeviceEvent::kReportedClean : DeviceEvent::kReportedDirty);
  DispatchAround(it->first);
}

// Sight is lost; where things were is kept.
void Farm::LinkLost(AgentState& agent, v1::DeviceLink link) {
  agent.info.link = link;
  agent.info.last_seen_wall_ns = now_.wall_ns - (now_.boot_ns - agent.last_seen_boot_ns);
  Put(agent.info);
  Tell("agent", agent.info.id, absl::StrCat("link ", v1::DeviceLink_Name(link)));
  for (const std::string& id : agent.devices) {
    Device& device = devices_[id];
    if (device.agent_id != agent.info.id) continue;
    device.link = link;
    // Why it got no job while it was within reach.
    if (!device.fence.has_value()) device.gate_reason.clear();
    Put(device);
  }
  for (const std::string& id : agent.resources) {
    Resource& resource = resources_[id];
    resource.link = link;
    Put(resource);
  }
  for (const Fence fence : agent.attempts) {
    Attempt& attempt = attempts_.at(fence);
    attempt.link = link;
    Put(attempt);
    const auto job = jobs_.find(attempt.job_id);
    if (IsTerminal(attempt.state) || job == jobs_.end() || final_stored_.count(fence) > 0) continue;
    boot_deadlines_.Set(absl::StrCat("lost/", fence),
                        agent.last_seen_boot_ns + job->second.lost_after_ns);
  }
}

// The agent had its lease and its grace. What was to stop counts as stopped; the rest waits for
// lost_after.
void Farm::LeaseLapsed(AgentState& agent) {
  if (agent.session != 0) {
    plan_.effects.push_back(CloseSession{
        agent.session,
        absl::DeadlineExceededError("the lease lapsed: nothing was heard from the agent")});
    sessions_.erase(agent.session);
    agent.session = 0;
  }
  LinkLost(agent, v1::DEVICE_LINK_OFFLINE);
  const std::set<Fence> ours = agent.attempts;
  for (const Fence fence : ours) {
    Attempt& attempt = attempts_.at(fence);
    Job& job = jobs_.at(attempt.job_id);
    if (job.state != v1::JOB_STATE_CANCELING || final_stored_.count(fence) > 0) continue;
    EndAttempt(attempt, AttemptEvent::kCanceled, job.failure_class, "its agent is out of reach");
    ReleaseDevice(attempt, DeviceEvent::kReleasedDirty, false);
    absl::StrAppend(&job.reason, "; its agent is out of reach");
    StopJob(job);
  }
  HelperLeaseLapsed(agent);
  // Who can go without what is out of reach now does.
  DispatchInTurn(WaitingOn(agent));
}

}  // namespace joulefarm::controller
