// Farm: what becomes of a lease, and of the job it was for.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/text/waiting.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

namespace {

// What an attempt says of itself is stored when it begins or ceases to wait, and else no more often
// than this: numbers in it change all the time.
constexpr std::int64_t kDetailEveryNs = 30'000'000'000;

bool IsWait(const std::string& detail) { return absl::StartsWith(detail, kWaitingFor); }

}  // namespace

void Farm::On(const GrantReplied& input) {
  const AgentState* agent = AgentOf(input.session);
  const auto it = attempts_.find(input.reply.fence());
  if (agent == nullptr || it == attempts_.end()) return;
  Attempt& attempt = it->second;
  const bool ours = attempt.agent_id == agent->info.id;
  Helper* helper = ours ? nullptr : FindHelper(attempt, agent->info.id);
  if (!ours && helper == nullptr) return;
  if (!input.reply.accepted()) {
    // What a helper says late does not stop what the device already does.
    if (attempt.state != v1::ATTEMPT_STATE_OFFERED) return;
    if (helper != nullptr && helper->state != v1::ATTEMPT_STATE_OFFERED) return;
    if (helper != nullptr) helper->state = v1::ATTEMPT_STATE_REJECTED;
    Withdraw(attempt,
             helper == nullptr ? absl::StrCat("device ", attempt.device_id)
                               : absl::StrCat("agent ", agent->info.id, ", which has its meter,"),
             input.reply.reason());
    DispatchAround(attempt.device_id);
    return;
  }
  if (helper != nullptr) {
    HelperAccepted(attempt, *helper);
    return;
  }
  boot_deadlines_.Clear(absl::StrCat("offer/", attempt.fence));
  const auto next = Next(attempt.state, AttemptEvent::kAccepted);
  if (!next.has_value()) return;
  attempt.state = *next;
  Put(attempt);
  PutDevice(devices_[attempt.device_id], DeviceEvent::kAccepted);
  TakeResources(attempt, DeviceEvent::kAccepted, 0);
  rests_.erase(attempt.device_id);
}

// Nothing of it has run: the job waits again, and the device rests a little.
void Farm::Withdraw(Attempt& attempt, const std::string& by, const std::string& reason) {
  const auto device = devices_.find(attempt.device_id);
  // Asked before it is released: what drains is in maintenance when it is free.
  const bool gives_away = device != devices_.end() && GivesAway(device->second);
  EndAttempt(attempt, AttemptEvent::kRejected, v1::FAILURE_CLASS_INFRA, reason);
  ReleaseDevice(attempt, DeviceEvent::kReleasedClean, true);
  Rest& rest = rests_[attempt.device_id];
  const int doublings = rest.refusals < 4 ? rest.refusals : 4;
  rest.ready_at_boot_ns = now_.boot_ns + (config_.reject_backoff_ns << doublings);
  ++rest.refusals;
  boot_deadlines_.Set(absl::StrCat("rest/", attempt.device_id), rest.ready_at_boot_ns);
  Job& job = jobs_.at(attempt.job_id);
  if (job.live_fence != attempt.fence) return;
  job.live_fence.reset();
  --job.attempts;  // nothing was tried
  if (job.attempts == 0) job.started_wall_ns.reset();
  SetWallLimits(job);
  Unhold(attempt);
  if (job.state == v1::JOB_STATE_CANCELING) {
    StopJob(job);
  } else {
    if (gives_away && !job.pinned) Rebind(job);
    Move(job, JobEvent::kGrantWithdrawn, job.failure_class,
         absl::StrCat(by, " refused it: ", reason));
    if (job.device_id != attempt.device_id) Dispatch(job.device_id);
  }
  if (queues_.count(attempt.device_id) > 0) {
    SetGate(devices_[attempt.device_id],
            absl::StrCat("rests a little, a job was refused: ", reason));
  }
}

// Nobody is asked for it any more.
void Farm::Unhold(const Attempt& attempt) {
  agents_[attempt.agent_id].attempts.erase(attempt.fence);
  for (const Helper& helper : attempt.helpers) agents_[helper.agent_id].helps.erase(attempt.fence);
}

void Farm::On(const AttemptReported& input) {
  const AgentState* agent = AgentOf(input.session);
  const auto it = attempts_.find(input.report.fence());
  if (agent == nullptr || it == attempts_.end()) return;
  Attempt& attempt = it->second;
  if (attempt.agent_id != agent->info.id) {
    if (Helper* helper = FindHelper(attempt, agent->info.id))
      HelperReported(attempt, *helper, input.report);
    return;
  }
  if (IsTerminal(attempt.state)) return;
  if (input.report.state() == v1::ATTEMPT_STATE_CANCELED &&
      final_stored_.count(attempt.fence) == 0) {
    Lose(attempt.fence, absl::StrCat("its agent gave it up: ", input.report.detail()));
    return;
  }
  attempt.detail = input.report.detail();
  const auto event = EventOfReport(input.report.state());
  const auto next = event.has_value() ? Next(attempt.state, *event) : std::nullopt;
  if (next.has_value()) attempt.state = *next;
  if (!next.has_value() && !IsDetailDue(attempt)) return;
  told_[attempt.fence] = {attempt.detail, now_.boot_ns};
  Put(attempt);
  SayWait(attempt, IsWait(attempt.detail) ? attempt.detail : "");
}

bool Farm::IsDetailDue(const Attempt& attempt) {
  const auto told = told_.find(attempt.fence);
  if (told == told_.end()) return true;
  if (told->second.detail == attempt.detail) return false;
  return IsWait(told->second.detail) != IsWait(attempt.detail) ||
         now_.boot_ns - told->second.boot_ns >= kDetailEveryNs;
}

void Farm::SayWait(const Attempt& attempt, const std::string& why) {
  const auto it = devices_.find(attempt.device_id);
  if (it == devices_.end() || it->second.fence != attempt.fence) return;
  const std::string before = it->second.gate_reason;
  SetGate(it->second, why);
  Job& job = jobs_.at(attempt.job_id);
  if (job.state != v1::JOB_STATE_ACTIVE || job.live_fence != attempt.fence) return;
  // Only what was said here is taken back.
  if (!why.empty() || job.reason == before) SayReason(job, why);
}

void Farm::On(const FinalStored& input) {
  const Fence fence = input.final.fence;
  const auto it = attempts_.find(fence);
  if (it == attempts_.end()) return;
  if (input.final.source != 0) {
    HelperEnded(it->second, input.final);
    return;
  }
  if (!final_stored_.insert(fence).second) return;
  boot_deadlines_.Clear(absl::StrCat("lost/", fence));
  ReleaseHelpers(it->second);
  CloseHelpersOutOfReach(it->second);
  CheckComplete(it->second);
}

void Farm::On(const AttemptFinalised& input) {
  const Fence fence = input.results.fence;
  final_stored_.erase(fence);
  const auto it = attempts_.find(fence);
  if (it == attempts_.end()) return;
  Attempt& attempt = it->second;
  Job& job = jobs_.at(attempt.job_id);
  plan_.writes.push_back(input.results);
  const auto event = EventOfOutcome(input.final.outcome());
  EndAttempt(attempt, event.value_or(AttemptEvent::kFailed), input.final.failure_class(),
             input.final.reason());
  ReleaseDevice(attempt,
                input.final.clean() ? DeviceEvent::kReleasedClean : DeviceEvent::kReleasedDirty,
                true);
  JudgeHealth(attempt, input.final);
  if (job.live_fence == fence) {
    SettleJob(job, attempt, input.final);
  } else {
    Tell("attempt", absl::StrCat(fence),
         "its result came after the job had moved on; it is kept and not counted");
  }
  DispatchAround(attempt.device_id);
}

void Farm::SettleJob(Job& job, Attempt& attempt, const v1::Final& final) {
  Unhold(attempt);
  if (final.outcome() == v1::OUTCOME_SUCCEEDED) {
    job.accepted_fence = attempt.fence;
    Move(job, JobEvent::kSucceeded, v1::FAILURE_CLASS_UNSPECIFIED,
         job.state == v1::JOB_STATE_CANCELING ? "finished before cancel" : "");
    return;
  }
  RetryOrFail(job, final.failure_class(), final.reason());
}

void Farm::EndAttempt(Attempt& attempt, AttemptEvent event, v1::FailureClass failure,
                      const std::string& reason) {
  const auto next = Next(attempt.state, event);
  if (!next.has_value()) return;
  attempt.state = *next;
  attempt.failure_class =
      *next == v1::ATTEMPT_STATE_SUCCEEDED ? v1::FAILURE_CLASS_UNSPECIFIED : failure;
  attempt.reason = reason;
  attempt.ended_wall_ns = now_.wall_ns;
  boot_deadlines_.Clear(absl::StrCat("offer/", attempt.fence));
  boot_deadlines_.Clear(absl::StrCat("lost/", attempt.fence));
  boot_deadlines_.Clear(absl::StrCat("helper-offer/", attempt.fence));
  boot_deadlines_.Clear(absl::StrCat("helper-final/", attempt.fence));
  told_.erase(attempt.fence);
  to_tidy_.insert(attempt.job_id);
  ReleaseHelpers(attempt);
  Put(attempt);
  Tell("attempt", absl::StrCat(attempt.fence),
       absl::StrCat(v1::AttemptState_Name(attempt.state), reason.empty() ? "" : ": ", reason));
}

void Farm::ReleaseDevice(const Attempt& attempt, DeviceEvent event, bool agent_said) {
  ReleaseResources(attempt, agent_said);
  const auto it = devices_.find(attempt.device_id);
  if (it == devices_.end() || it->second.fence != attempt.fence) return;
  PutDevice(it->second, event);
}

// The attempt is gone as far as anyone can tell. Its fence stays live until another attempt is
// granted: if it comes back first, it may still win.
void Farm::Lose(Fence fence, const std::string& why) {
  Attempt& attempt = attempts_.at(fence);
  Job& job = jobs_.at(attempt.job_id);
  EndAttempt(attempt, AttemptEvent::kLost, v1::FAILURE_CLASS_INFRA, why);
  ReleaseDevice(attempt, DeviceEvent::kReleasedDirty, false);
  if (job.live_fence != fence) return;
  RetryOrFail(job, v1::FAILURE_CLASS_INFRA, absl::StrCat("attempt ", fence, " was lost: ", why));
}

void Farm::RetryOrFail(Job& job, v1::FailureClass failure, const std::string& reason) {
  if (job.state == v1::JOB_STATE_CANCELING) {
    StopJob(job);
    return;
  }
  if (IsRetryable(failure) && job.state != v1::JOB_STATE_ACTIVE) {
    // A lost attempt came back with a failure, or its agent came back without it, while its job
    // already waits for another one.
    if (const Attempt* live = LiveAttempt(job)) {
      Unhold(*live);
      to_tidy_.insert(job.id);
    }
    job.live_fence.reset();
    Put(job);
    return;
  }
  if (IsRetryable(failure) && job.retries_left > 0) {
    --job.retries_left;
    const Attempt* live = LiveAttempt(job);
    if (live != nullptr && live->state != v1::ATTEMPT_STATE_LOST) {
      Unhold(*live);
      job.live_fence.reset();
    }
    if (!job.pinned) Rebind(job);
    Move(job, JobEvent::kRetry, failure,
         absl::StrCat("to be tried again (", job.retries_left, " more): ", reason));
    Dispatch(job.device_id);
    return;
  }
  NoteCellFailure(job, failure);
  Move(job, JobEvent::kFailed, failure, reason);
}

// A canceling job has stopped. A limit that passed is a failure; an operator's wish is not.
void Farm::StopJob(Job& job) {
  const bool limit = job.failure_class == v1::FAILURE_CLASS_TIMEOUT;
  Move(job, limit ? JobEvent::kFailed : JobEvent::kStopped, job.failure_class, job.reason);
}

// A cell that fails on two devices for its own reasons will fail on every other one.
void Farm::NoteCellFailure(const Job& job, v1::FailureClass failure) {
  ExperimentState& experiment = experiments_[job.experiment];
  if (IsRetryable(failure) || job.spec == nullptr) return;
  std::set<std::string>& devices = experiment.cell_failures[job.spec->cell()];
  devices.insert(job.device_id);
  if (devices.size() < 2) return;
  for (const std::string& id : experiment.info.job_ids) {
    Job& other = jobs_.at(id);
    if (other.id == job.id || other.state != v1::JOB_STATE_QUEUED ||
        other.spec->cell() != job.spec->cell())
      continue;
    Move(other, JobEvent::kFailed, v1::FAILURE_CLASS_POLICY,
         absl::StrCat("its cell failed on ", devices.size(), " devices for its own reasons, last ",
                      job.id));
  }
}

void Farm::StopAttempt(const Attempt& attempt, v1::FailureClass failure,
                       const std::string& reason) {
  const AgentState& agent = agents_[attempt.agent_id];
  if (agent.session == 0) return;
  v1::ControllerMessage message;
  v1::CancelAttempt& cancel = *message.mutable_cancel();
  cancel.set_fence(attempt.fence);
  cancel.set_reason(reason);
  cancel.set_failure_class(failure);
  Send(agent.session, std::move(message));
}

}  // namespace joulefarm::controller
