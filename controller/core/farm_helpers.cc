// Farm: the further sources of an attempt: agents that measure what runs on another agent's device.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

Helper* Farm::FindHelper(Attempt& attempt, const std::string& agent_id) {
  for (Helper& helper : attempt.helpers) {
    if (helper.agent_id == agent_id) return &helper;
  }
  return nullptr;
}

bool Farm::WaitsForHelpers(const Attempt& attempt) {
  return attempt.state == v1::ATTEMPT_STATE_OFFERED &&
         std::any_of(attempt.helpers.begin(), attempt.helpers.end(), [](const Helper& helper) {
           return helper.state == v1::ATTEMPT_STATE_OFFERED;
         });
}

void Farm::AddHelpers(Attempt& attempt) {
  for (const v1::GrantedResource& granted : attempt.resources) {
    if (granted.source() == 0 || FindHelper(attempt, granted.agent_id()) != nullptr) continue;
    Helper& helper = attempt.helpers.emplace_back();
    helper.source = granted.source();
    helper.agent_id = granted.agent_id();
  }
}

void Farm::SendHelperGrant(const Attempt& attempt, const Helper& helper) {
  const AgentState& agent = agents_[helper.agent_id];
  if (agent.session == 0) return;
  v1::ControllerMessage message;
  *message.mutable_grant() = MakeGrant(attempt, agent, helper.source);
  Send(agent.session, std::move(message));
  boot_deadlines_.Set(absl::StrCat("helper-offer/", attempt.fence), now_.boot_ns + config_.ttl_ns);
}

// Tells it to end, and asks for its word on its resources: it comes when nothing of the source
// runs.
void Farm::SendRelease(const std::string& agent_id, Fence fence, int source) {
  const AgentState& agent = agents_[agent_id];
  if (agent.session == 0) return;
  // Once per input is enough.
  for (const Effect& effect : plan_.effects) {
    const auto* sent = std::get_if<SendToAgent>(&effect);
    if (sent != nullptr && sent->session == agent.session &&
        sent->message.release().fence() == fence && sent->message.release().source() == source) {
      return;
    }
  }
  v1::ControllerMessage message;
  message.mutable_release()->set_fence(fence);
  message.mutable_release()->set_source(source);
  Send(agent.session, std::move(message));
}

// There is nothing more to measure.
void Farm::ReleaseHelpers(Attempt& attempt) {
  bool any = false;
  for (Helper& helper : attempt.helpers) {
    if (IsTerminal(helper.state) || helper.released) continue;
    helper.released = any = true;
    SendRelease(helper.agent_id, attempt.fence, helper.source);
  }
  if (any) Put(attempt);
}

void Farm::HelperAccepted(Attempt& attempt, Helper& helper) {
  if (helper.state != v1::ATTEMPT_STATE_OFFERED) return;
  helper.state = v1::ATTEMPT_STATE_ACCEPTED;
  Put(attempt);
  if (!IsTerminal(attempt.state)) TakeResources(attempt, DeviceEvent::kAccepted, helper.source);
  if (WaitsForHelpers(attempt)) return;
  boot_deadlines_.Clear(absl::StrCat("helper-offer/", attempt.fence));
  if (attempt.state == v1::ATTEMPT_STATE_OFFERED) SendGrant(attempt);
}

void Farm::HelperReported(Attempt& attempt, Helper& helper, const v1::AttemptReport& report) {
  if (IsTerminal(helper.state)) return;
  if (report.state() == v1::ATTEMPT_STATE_CANCELED) {
    if (WaitsForHelpers(attempt)) {
      Withdraw(attempt, absl::StrCat("agent ", helper.agent_id, ", which has its meter,"),
               report.detail());
    } else {
      CloseHelper(attempt, helper, absl::StrCat("its agent gave it up: ", report.detail()));
      CheckComplete(attempt);
    }
    DispatchAround(attempt.device_id);
    return;
  }
  const auto event = EventOfReport(report.state());
  if (!event.has_value()) return;
  HelperAccepted(attempt, helper);
  const auto next = Next(helper.state, *event);
  if (!next.has_value()) return;
  helper.state = *next;
  Put(attempt);
}

void Farm::HelperEnded(Attempt& attempt, const SourceFinal& final) {
  const bool waits = WaitsForHelpers(attempt);
  for (Helper& helper : attempt.helpers) {
    if (helper.source != final.source || IsTerminal(helper.state)) continue;
    const auto event = EventOfOutcome(final.outcome);
    helper.state = Next(helper.state, event.value_or(AttemptEvent::kFailed)).value_or(helper.state);
    helper.reason = final.reason;
    agents_[helper.agent_id].helps.erase(attempt.fence);
    Put(attempt);
    if (waits) {
      // Over before the device was even asked: its last word was faster than its reply.
      Withdraw(attempt, absl::StrCat("agent ", helper.agent_id, ", which has its meter,"),
               final.reason);
      DispatchAround(attempt.device_id);
      return;
    }
    if (final.outcome != v1::OUTCOME_SUCCEEDED) NoteMeterLost(attempt, helper.source, final.reason);
    CheckComplete(attempt);
    return;
  }
}

// Nothing more is expected of it; what still comes is late.
void Farm::CloseHelper(Attempt& attempt, Helper& helper, const std::string& why) {
  helper.state = v1::ATTEMPT_STATE_LOST;
  helper.reason = why;
  agents_[helper.agent_id].helps.erase(attempt.fence);
  Put(attempt);
  NoteMeterLost(attempt, helper.source, why);
}

void Farm::NoteMeterLost(const Attempt& attempt, int source, const std::string& why) {
  std::vector<std::string> meters;
  for (const v1::GrantedResource& granted : attempt.resources) {
    const auto it = resources_.find(granted.resource_id());
    const bool meter = it == resources_.end() || it->second.kind == v1::RESOURCE_KIND_METER;
    if (granted.source() == source && meter) meters.push_back(granted.resource_id());
  }
  if (meters.empty()) return;
  v1::Reason reason;
  reason.set_domain(v1::DOMAIN_ENERGY);
  reason.set_quality(v1::QUALITY_SUSPECT);
  reason.set_code("meter_lost");
  reason.set_detail(absl::StrCat(absl::StrJoin(meters, ", "), ": ", why));
  Tell("attempt", absl::StrCat(attempt.fence),
       absl::StrCat("source ", source, " is lost: ", reason.detail()));
  plan_.writes.push_back(AttemptReason{attempt.fence, source, std::move(reason)});
}

// The device's agent is done: a helper without a lease is not waited for, and one with a lease not
// for ever.
void Farm::CloseHelpersOutOfReach(Attempt& attempt) {
  bool open = false;
  for (Helper& helper : attempt.helpers) {
    if (IsTerminal(helper.state)) continue;
    if (agents_[helper.agent_id].info.link == v1::DEVICE_LINK_OFFLINE) {
      CloseHelper(attempt, helper, "its agent is out of reach");
    } else {
      open = true;
    }
  }
  if (!open) return;
  boot_deadlines_.Set(absl::StrCat("helper-final/", attempt.fence),
                      now_.boot_ns + jobs_.at(attempt.job_id).lost_after_ns);
}

// A helper did not answer its grant, or did not end, in time.
void Farm::HelpersLate(Attempt& attempt) {
  const bool waits = WaitsForHelpers(attempt);
  bool closed = false;
  for (Helper& helper : attempt.helpers) {
    if (waits && helper.state == v1::ATTEMPT_STATE_OFFERED) {
      const AgentState& agent = agents_[helper.agent_id];
      // A new session settles what both sides know.
      if (agent.session != 0) {
        plan_.effects.push_back(
            CloseSession{agent.session, absl::UnavailableError("a grant was not answered")});
      }
    } else if (!waits && final_stored_.count(attempt.fence) > 0 && !IsTerminal(helper.state)) {
      CloseHelper(attempt, helper, "its agent did not end it in time");
      closed = true;
    }
  }
  if (closed) CheckComplete(attempt);
}

void Farm::HelperLeaseLapsed(AgentState& agent) {
  const std::set<Fence> ours = agent.helps;
  for (const Fence fence : ours) {
    const auto it = attempts_.find(fence);
    Helper* helper = it == attempts_.end() ? nullptr : FindHelper(it->second, agent.info.id);
    if (helper == nullptr || IsTerminal(helper->state)) continue;
    if (WaitsForHelpers(it->second) && helper->state == v1::ATTEMPT_STATE_OFFERED) {
      Withdraw(it->second, absl::StrCat("agent ", agent.info.id, ", which has its meter,"),
               "it is out of reach");
    } else if (final_stored_.count(fence) > 0) {
      CloseHelper(it->second, *helper, "its agent is out of reach");
      CheckComplete(it->second);
    }
    // Else it may come back before the device is done, with all that it has measured.
  }
}

// What it accepted and no longer knows is gone.
void Farm::LoseAbsentHelpers(AgentState& agent, const v1::Hello& hello) {
  std::set<Fence> held;
  for (const v1::HeldAttempt& attempt : hello.held()) held.insert(attempt.fence());
  const std::set<Fence> ours = agent.helps;
  for (const Fence fence : ours) {
    const auto it = attempts_.find(fence);
    Helper* helper = it == attempts_.end() ? nullptr : FindHelper(it->second, agent.info.id);
    if (helper == nullptr || IsTerminal(helper->state) || held.count(fence) > 0) continue;
    // Sent again, unless it is of no more use.
    if (helper->state == v1::ATTEMPT_STATE_OFFERED && !helper->released) continue;
    CloseHelper(it->second, *helper, "its agent no longer knows it");
    CheckComplete(it->second);
  }
}

v1::VerdictKind Farm::JudgeHelper(AgentState& agent, const v1::HeldAttempt& held) {
  const bool over = held.state() == v1::ATTEMPT_STATE_UPLOADING || IsTerminal(held.state());
  const v1::VerdictKind unwanted = over ? v1::VERDICT_KIND_UPLOAD_ONLY : v1::VERDICT_KIND_ABORT;
  const auto it = attempts_.find(held.fence());
  if (it == attempts_.end() || jobs_.at(it->second.job_id).live_fence != held.fence())
    return unwanted;
  Attempt& attempt = it->second;
  Helper* helper = FindHelper(attempt, agent.info.id);
  if (helper == nullptr || helper->source != held.source() || IsTerminal(helper->state))
    return unwanted;
  if (over) {
    // It ended before the device was even asked.
    if (WaitsForHelpers(attempt) && helper->state == v1::ATTEMPT_STATE_OFFERED) {
      Withdraw(attempt, absl::StrCat("agent ", agent.info.id, ", which has its meter,"),
               "it was started anew");
    }
    return v1::VERDICT_KIND_UPLOAD_ONLY;
  }
  HelperAccepted(attempt, *helper);
  if (helper->released) {
    SendRelease(agent.info.id, attempt.fence, helper->source);
  } else {
    plan_.effects.push_back(HelperGoesOn{agent.session, attempt.device_id, attempt.fence});
  }
  return v1::VERDICT_KIND_CONTINUE;
}

void Farm::ResendToHelper(AgentState& agent) {
  for (const Fence fence : agent.helps) {
    const auto it = attempts_.find(fence);
    const Helper* helper = it == attempts_.end() ? nullptr : FindHelper(it->second, agent.info.id);
    if (helper != nullptr && helper->state == v1::ATTEMPT_STATE_OFFERED && !helper->released)
      SendHelperGrant(it->second, *helper);
  }
}

void Farm::CheckComplete(const Attempt& attempt) {
  if (final_stored_.count(attempt.fence) == 0) return;
  for (const Helper& helper : attempt.helpers) {
    if (!IsTerminal(helper.state)) return;
  }
  boot_deadlines_.Clear(absl::StrCat("helper-final/", attempt.fence));
  plan_.effects.push_back(ComputeResults{attempt.fence});
}

}  // namespace joulefarm::controller
