// What the session holds: grants, cancels, verdicts, and how attempts end.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/core/session.h"

namespace joulefarm::agent {

void Session::On(const GrantReceived& event) {
  if (!Hears(event.connection)) return;
  const v1::Grant& grant = event.grant;
  const Fence fence = grant.fence();
  if (grant.session_epoch() != session_epoch_) {
    Say(Severity::kWarning, absl::StrCat("dropped grant ", fence, " of session ",
                                         grant.session_epoch(), ", this one is ", session_epoch_));
    return;
  }
  if (const auto it = attempts_.find(fence); it != attempts_.end()) {
    // Sent again. While it is being made durable the answer is still to come.
    if (it->second.stage == Stage::kPersisting) return;
    ReplyToGrant(fence, std::nullopt);
    ReportAttempt(fence, it->second);
    return;
  }
  const std::optional<std::string> refusal = WhyNot(grant);
  // A refused fence is used up as well: sent again it must not be executed.
  if (grant.source() != 0 || devices_.contains(grant.device_id())) {
    Fence& mark = high_water_[grant.device_id()];
    mark = std::max(mark, fence);
  }
  if (refusal) {
    Say(Severity::kWarning, absl::StrCat("refused grant ", fence, ": ", *refusal));
    ReplyToGrant(fence, refusal);
    return;
  }
  Attempt attempt;
  attempt.grant = grant;
  attempt.on_disconnect = grant.spec().on_disconnect();
  attempts_.emplace(fence, std::move(attempt));
  effects_.emplace_back(PersistGrant{grant});
}

void Session::On(const CancelReceived& event) {
  if (!Hears(event.connection)) return;
  const v1::CancelAttempt& cancel = event.cancel;
  if (!attempts_.contains(cancel.fence())) {
    ReportNotHeld(cancel.fence());
    return;
  }
  Cancel(cancel.fence(), cancel.failure_class(),
         cancel.reason().empty() ? "canceled by the controller" : cancel.reason());
}

// Its grant never got here or all of it is uploaded: nothing runs, and the controller may rely on
// that.
void Session::ReportNotHeld(Fence fence) {
  v1::AgentMessage message;
  v1::AttemptReport* report = message.mutable_attempt_report();
  report->set_fence(fence);
  report->set_state(v1::ATTEMPT_STATE_CANCELED);
  report->set_detail("this agent does not hold the attempt");
  SendMessage(std::move(message));
  ReportAllResources();
}

void Session::On(const GrantPersisted& event) {
  const auto it = attempts_.find(event.fence);
  if (it == attempts_.end() || it->second.stage != Stage::kPersisting) return;
  Attempt& attempt = it->second;
  if (!event.status.ok()) {
    const std::string reason =
        absl::StrCat("the agent cannot keep the grant: ", event.status.message());
    Say(Severity::kError, reason);
    const v1::Grant grant = std::move(attempt.grant);
    attempts_.erase(it);
    ReplyToGrant(event.fence, reason);
    // It may have been given up meanwhile: then the reply does not say that they are free.
    ReportResourcesOf(grant);
    MaybeExit();
    return;
  }
  attempt.stage = Stage::kExecuting;
  attempt.state = v1::ATTEMPT_STATE_ACCEPTED;
  ReplyToGrant(event.fence, std::nullopt);
  effects_.emplace_back(StartAttempt{attempt.grant});
  attempt.grant.clear_spec();
  // Canceled before it began: the runner starts with the stop already there, and so ends in the
  // ordinary way.
  if (attempt.stop) effects_.emplace_back(*attempt.stop);
}

void Session::On(const AttemptMoved& event) {
  const auto it = attempts_.find(event.fence);
  if (it == attempts_.end() || it->second.stage != Stage::kExecuting) return;
  it->second.state = event.state;
  it->second.detail = event.detail;
  if (!it->second.forget_when_ended) ReportAttempt(event.fence, it->second);
}

void Session::On(const AttemptEnded& event) {
  const auto it = attempts_.find(event.fence);
  if (it == attempts_.end() || it->second.stage != Stage::kExecuting) return;
  Attempt& attempt = it->second;
  attempt.stage = Stage::kFinished;
  attempt.state = v1::ATTEMPT_STATE_UPLOADING;
  attempt.detail.clear();
  const v1::Grant grant = attempt.grant;
  const auto device = devices_.find(grant.device_id());
  const bool drove = grant.source() == 0 && device != devices_.end();
  if (drove) device->second.clean = event.clean;
  if (attempt.forget_when_ended) {
    // The controller may still wait for it: heartbeats alone would never tell.
    attempt.state = v1::ATTEMPT_STATE_CANCELED;
    attempt.detail = "given up: the controller takes no more of it";
    ReportAttempt(event.fence, attempt);
    Drop(event.fence);
  } else {
    ReportAttempt(event.fence, attempt);
  }
  if (drove) ReportDevice(grant.device_id());
  ReportResourcesOf(grant);
  MaybeExit();
}

void Session::On(const EndNotStored& event) {
  const auto it = attempts_.find(event.fence);
  if (it == attempts_.end() || it->second.stage != Stage::kFinished) return;
  Say(Severity::kError, absl::StrCat("attempt ", event.fence,
                                     ": its end could not be kept: ", event.status.message()));
  Drop(event.fence);
  // A new Hello without it is how the controller learns that it is lost.
  if (link_ == Link::kOnline) {
    CloseConnection();
    Retry();
  }
  MaybeExit();
}

void Session::On(const AttemptUploaded& event) {
  const auto it = attempts_.find(event.fence);
  if (it == attempts_.end() || it->second.stage != Stage::kFinished) return;
  Drop(event.fence);
  MaybeExit();
}

void Session::On(const AttemptRefused& event) {
  const auto it = attempts_.find(event.fence);
  if (it == attempts_.end()) return;
  if (it->second.stage == Stage::kFinished) {
    // The other streams are still of use as evidence; with the last word refused there is nothing
    // more to say.
    if (event.stream != v1::STREAM_FINAL) return;
    Say(Severity::kWarning, absl::StrCat("attempt ", event.fence,
                                         ": the controller does not take its end: ", event.detail));
    Drop(event.fence);
    MaybeExit();
    return;
  }
  if (it->second.forget_when_ended) return;
  // A broken trace or log costs a grade, not the run.
  const bool side_stream = event.stream == v1::STREAM_POWER || event.stream == v1::STREAM_HOST ||
                           event.stream == v1::STREAM_LOG;
  if (side_stream && !absl::StartsWith(event.detail, "STALE_FENCE")) return;
  Say(Severity::kWarning, absl::StrCat("attempt ", event.fence,
                                       ": the controller takes no more of it: ", event.detail));
  it->second.forget_when_ended = true;
  Stop(event.fence, StopWhy::kAborted, v1::FAILURE_CLASS_UNSPECIFIED, event.detail);
}

void Session::On(const FramesMissing& event) {
  const auto it = attempts_.find(event.fence);
  if (it == attempts_.end()) return;
  Say(Severity::kError, absl::StrCat("attempt ", event.fence,
                                     ": frames the controller needs are gone: ", event.detail));
  it->second.forget_when_ended = true;
  if (it->second.stage == Stage::kFinished) {
    Drop(event.fence);
  } else {
    Stop(event.fence, StopWhy::kAborted, v1::FAILURE_CLASS_INFRA, event.detail);
  }
  if (link_ == Link::kOnline) {
    CloseConnection();
    Retry();
  }
  MaybeExit();
}

void Session::ApplyVerdict(const v1::HeldVerdict& verdict) {
  const auto it = attempts_.find(verdict.fence());
  if (it == attempts_.end()) return;
  const bool finished = it->second.stage == Stage::kFinished;
  switch (verdict.verdict()) {
    case v1::VERDICT_KIND_ABORT:
      if (finished) {
        Drop(verdict.fence());
        return;
      }
      it->second.forget_when_ended = true;
      Stop(verdict.fence(), StopWhy::kAborted, v1::FAILURE_CLASS_UNSPECIFIED,
           "the controller no longer wants this attempt");
      return;
    case v1::VERDICT_KIND_UPLOAD_ONLY:
      if (finished) return;
      Stop(verdict.fence(), StopWhy::kUploadOnly, v1::FAILURE_CLASS_UNSPECIFIED,
           "the controller no longer wants this attempt run");
      return;
    case v1::VERDICT_KIND_CONTINUE:
    case v1::VERDICT_KIND_UNSPECIFIED:
    default:  // open enum: what a newer controller says more is no reason to stop
      return;
  }
}

std::optional<std::string> Session::WhyNot(const v1::Grant& grant) const {
  if (grant.fence() <= 0) return "a fence is a positive number";
  if (grant.source() == 0) {
    if (const auto refusal = WhyNotDevice(grant)) return refusal;
  }
  if (grant.fence() <= HighWater(grant.device_id())) {
    return absl::StrCat("fence ", grant.fence(), " is used up: the device has seen ",
                        HighWater(grant.device_id()));
  }
  if (closing_) return "the agent is stopping";
  if (const std::optional<Fence> occupant = Occupant(grant.device_id());
      occupant && grant.source() == 0) {
    return absl::StrCat("the device is busy with attempt ", *occupant);
  }
  return WhyNotResources(grant);
}

std::optional<std::string> Session::WhyNotDevice(const v1::Grant& grant) const {
  const auto device = devices_.find(grant.device_id());
  if (device == devices_.end()) {
    return absl::StrCat("this agent has no device \"", grant.device_id(), "\"");
  }
  if (device->second.refused) {
    return absl::StrCat("the controller refused this device: ", *device->second.refused);
  }
  return std::nullopt;
}

void Session::ReplyToGrant(Fence fence, const std::optional<std::string>& refusal) {
  if (link_ != Link::kOnline) return;
  v1::AgentMessage message;
  v1::GrantReply* reply = message.mutable_grant_reply();
  reply->set_fence(fence);
  reply->set_accepted(!refusal.has_value());
  if (refusal) reply->set_reason(*refusal);
  SendMessage(std::move(message));
}

void Session::ReportAttempt(Fence fence, const Attempt& attempt) {
  if (link_ != Link::kOnline) return;
  v1::AgentMessage message;
  v1::AttemptReport* report = message.mutable_attempt_report();
  report->set_fence(fence);
  report->set_state(attempt.state);
  report->set_detail(attempt.detail);
  SendMessage(std::move(message));
}

void Session::ReportDevice(const std::string& device_id) {
  const auto it = devices_.find(device_id);
  if (link_ != Link::kOnline || it == devices_.end()) return;
  v1::AgentMessage message;
  message.mutable_device_report()->set_device_id(device_id);
  message.mutable_device_report()->set_clean(it->second.clean);
  SendMessage(std::move(message));
}

void Session::Stop(Fence fence, StopWhy why, v1::FailureClass failure_class, std::string text) {
  const auto it = attempts_.find(fence);
  if (it == attempts_.end() || it->second.stage == Stage::kFinished || it->second.stop) return;
  it->second.stop = StopAttempt{fence, why, failure_class, std::move(text)};
  if (it->second.stage == Stage::kExecuting) effects_.emplace_back(*it->second.stop);
}

void Session::StopAll(StopWhy why, const std::string& text) {
  for (const auto& [fence, attempt] : attempts_) Stop(fence, why, v1::FAILURE_CLASS_INFRA, text);
}

void Session::Cancel(Fence fence, v1::FailureClass failure_class, const std::string& reason) {
  Stop(fence, StopWhy::kCanceled, failure_class, reason);
}

void Session::Drop(Fence fence) {
  attempts_.erase(fence);
  effects_.emplace_back(ForgetAttempt{fence});
}

std::optional<Fence> Session::Occupant(const std::string& device_id) const {
  for (const auto& [fence, attempt] : attempts_) {
    if (attempt.stage != Stage::kFinished && attempt.grant.source() == 0 &&
        attempt.grant.device_id() == device_id) {
      return fence;
    }
  }
  return std::nullopt;
}

bool Session::AnyActive() const {
  return std::any_of(attempts_.begin(), attempts_.end(),
                     [](const auto& entry) { return entry.second.stage != Stage::kFinished; });
}

}  // namespace joulefarm::agent
