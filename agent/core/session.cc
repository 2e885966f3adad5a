// The session's link: connecting, backing off, heartbeats, the lease, and the way out.
#include "agent/core/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/units/units.h"

namespace joulefarm::agent {
namespace {

// A session that held this long was a good one: the next loss starts again with short delays.
constexpr std::int64_t kSteadyNs = 10 * kNsPerSecond;
constexpr std::int64_t kDefaultTtlNs = 30 * kNsPerSecond;
constexpr std::int64_t kDefaultHeartbeatNs = 5 * kNsPerSecond;
constexpr std::int64_t kShortestHeartbeatNs = kNsPerSecond / 20;

std::size_t Index(Timer timer) { return static_cast<std::size_t>(timer); }

}  // namespace

Session::Session(SessionOptions options) : options_(std::move(options)) {
  for (const v1::DeviceAnnouncement& announcement : options_.devices) {
    Device device;
    device.announcement = announcement;
    device.clean = announcement.clean();
    devices_[announcement.device_id()] = std::move(device);
  }
  for (const v1::ResourceAnnouncement& announcement : options_.resources)
    resources_[announcement.resource_id()].announcement = announcement;
  high_water_ = options_.high_water;
  for (const KeptAttempt& kept : options_.kept) {
    Attempt attempt;
    attempt.grant.set_fence(kept.fence);
    attempt.grant.set_device_id(kept.device_id);
    attempt.grant.set_job_id(kept.job_id);
    attempt.grant.set_source(kept.source);
    attempt.stage = Stage::kFinished;
    attempt.state = kept.state;
    Fence& mark = high_water_[kept.device_id];
    mark = std::max(mark, kept.fence);
    attempts_.emplace(kept.fence, std::move(attempt));
  }
}

Effects Session::Handle(const Event& event, std::int64_t now_ns) {
  if (link_ == Link::kExited) return {};
  now_ns_ = now_ns;
  effects_.clear();
  std::visit([this](const auto& e) { On(e); }, event);
  return std::exchange(effects_, {});
}

Fence Session::HighWater(const std::string& device_id) const {
  const auto it = high_water_.find(device_id);
  return it == high_water_.end() ? 0 : it->second;
}

void Session::On(const StartRequested&) {
  if (link_ == Link::kIdle && !closing_) OpenConnection();
}

void Session::On(const DrainRequested&) {
  if (closing_) return;
  Close({.code = 0, .text = "stopped", .upload_first = true});
}

void Session::On(const WelcomeReceived& event) {
  if (!Current(event.connection) || link_ != Link::kConnecting) return;
  const v1::Welcome& welcome = event.welcome;
  link_ = Link::kOnline;
  online_since_ns_ = now_ns_;
  session_epoch_ = welcome.session_epoch();
  ttl_ns_ = welcome.ttl_ns() > 0 ? welcome.ttl_ns() : kDefaultTtlNs;
  heartbeat_ns_ = welcome.heartbeat_ns() > 0 ? welcome.heartbeat_ns() : kDefaultHeartbeatNs;
  heartbeat_ns_ = std::max(heartbeat_ns_, kShortestHeartbeatNs);
  Disarm(Timer::kHello);
  Renew();
  Arm(Timer::kHeartbeat, now_ns_ + heartbeat_ns_);
  if (unreachable_.Over()) Say(Severity::kInfo, "connected to the controller again");
  for (auto& [id, device] : devices_) {
    const auto it = welcome.refused_devices().find(id);
    device.refused.reset();
    if (it == welcome.refused_devices().end()) continue;
    device.refused = it->second;
    Say(Severity::kError, absl::StrCat("the controller refuses device ", id, ": ", it->second));
  }
  for (auto& [id, resource] : resources_) {
    const auto it = welcome.refused_resources().find(id);
    resource.refused.reset();
    if (it == welcome.refused_resources().end()) continue;
    resource.refused = it->second;
    Say(Severity::kError, absl::StrCat("the controller refuses ", id, ": ", it->second));
  }
  for (const v1::HeldVerdict& verdict : welcome.verdicts()) ApplyVerdict(verdict);
  OpenUpload upload;
  upload.connection = connection_;
  upload.session_epoch = session_epoch_;
  for (const v1::HeldVerdict& verdict : welcome.verdicts()) {
    if (!attempts_.contains(verdict.fence())) continue;
    for (const v1::StreamCursor& cursor : verdict.cursors()) upload.cursors.push_back(cursor);
  }
  effects_.emplace_back(std::move(upload));
  // What moved between Hello and Welcome was told to nobody.
  for (const auto& [fence, attempt] : attempts_) {
    if (attempt.stage == Stage::kExecuting) ReportAttempt(fence, attempt);
  }
  for (const auto& [id, device] : devices_) {
    if (!device.announced_clean && device.clean && !Occupant(id)) ReportDevice(id);
  }
  ReportAllResources();
  MaybeExit();
}

void Session::On(const HeartbeatAckReceived& event) {
  if (!Hears(event.connection)) return;
  for (const Fence fence : event.ack.cancel_fences()) {
    Cancel(fence, v1::FAILURE_CLASS_UNSPECIFIED, "canceled by the controller");
  }
}

void Session::On(const LinkLost& event) {
  if (!Current(event.connection)) return;
  if (link_ != Link::kConnecting && link_ != Link::kOnline) return;
  const bool was_online = link_ == Link::kOnline;
  if (was_online && now_ns_ - online_since_ns_ >= kSteadyNs) back_off_.Reset();
  const std::string message(event.status.message());
  CloseConnection();
  if (event.rpc == Rpc::kControl && absl::IsAborted(event.status)) {
    Say(Severity::kError,
        absl::StrCat("another agent with id ", options_.agent_id,
                     " has taken over the session; this one stops. Give one of them another --id (",
                     message, ")"));
    Close({.code = kExitSuperseded, .text = "superseded", .upload_first = false});
    return;
  }
  if (unreachable_.Due(now_ns_)) {
    const bool refused =
        event.rpc == Rpc::kControl && absl::IsFailedPrecondition(event.status) && !was_online;
    Say(refused ? Severity::kError : Severity::kWarning,
        absl::StrCat(refused      ? "the controller refuses this agent: "
                     : was_online ? "lost the controller: "
                                  : "cannot reach the controller: ",
                     message, "; trying again"));
  }
  Retry();
  MaybeExit();
}

void Session::On(const TimerFired& event) {
  std::optional<std::int64_t>& deadline = deadlines_[Index(event.timer)];
  if (!deadline) return;
  // Timers may be early: fired before they were armed anew, or on a clock that differs.
  if (now_ns_ < *deadline) {
    Arm(event.timer, *deadline);
    return;
  }
  deadline.reset();
  switch (event.timer) {
    case Timer::kReconnect:
      if (link_ == Link::kBackOff) OpenConnection();
      return;
    case Timer::kHello:
      if (link_ != Link::kConnecting) return;
      if (unreachable_.Due(now_ns_)) {
        Say(Severity::kWarning, "the controller does not answer; trying again");
      }
      CloseConnection();
      Retry();
      MaybeExit();
      return;
    case Timer::kHeartbeat: {
      if (link_ != Link::kOnline) return;
      v1::AgentMessage message;
      message.mutable_heartbeat()->set_seq(++heartbeat_seq_);
      SendMessage(std::move(message));
      Arm(Timer::kHeartbeat, now_ns_ + heartbeat_ns_);
      return;
    }
    case Timer::kLease:
      LeaseLapsed();
      return;
    case Timer::kDrain:
      ExitNow();
      return;
  }
}

bool Session::Current(Connection connection) const { return connection == connection_; }

// True for a message of the live session, which also renews the lease.
bool Session::Hears(Connection connection) {
  if (!Current(connection) || link_ != Link::kOnline) return false;
  Renew();
  return true;
}

void Session::Renew() { Arm(Timer::kLease, now_ns_ + ttl_ns_); }

void Session::OpenConnection() {
  link_ = Link::kConnecting;
  ++connection_;
  effects_.emplace_back(Connect{connection_, MakeHello()});
  Arm(Timer::kHello, now_ns_ + options_.hello_limit_ns);
}

void Session::CloseConnection() {
  effects_.emplace_back(Disconnect{connection_});
  ++connection_;  // whatever still comes from the old one is late
  link_ = Link::kBackOff;
  session_epoch_ = 0;
  Disarm(Timer::kHello);
  Disarm(Timer::kHeartbeat);
}

void Session::Retry() {
  link_ = Link::kBackOff;
  Arm(Timer::kReconnect, now_ns_ + back_off_.NextNs(options_.random ? options_.random() : 0.5));
}

void Session::LeaseLapsed() {
  if (link_ == Link::kOnline) {
    Say(Severity::kWarning, "nothing heard from the controller within the lease; connecting anew");
    CloseConnection();
    Retry();
  }
  for (auto& [fence, attempt] : attempts_) {
    if (attempt.stage == Stage::kFinished) continue;
    if (attempt.on_disconnect != v1::ON_DISCONNECT_STOP) continue;
    Stop(fence, StopWhy::kLeaseLapsed, v1::FAILURE_CLASS_INFRA,
         "the controller could not be reached within the lease and the job says on_disconnect: "
         "stop");
  }
  MaybeExit();
}

void Session::Close(Closing closing) {
  closing_ = std::move(closing);
  StopAll(StopWhy::kShutdown, closing_->code == kExitSuperseded
                                  ? "the agent was superseded by another with the same id"
                                  : "the agent was stopped");
  Arm(Timer::kDrain, now_ns_ + options_.drain_limit_ns);
  Disarm(Timer::kReconnect);
  MaybeExit();
}

void Session::MaybeExit() {
  if (!closing_ || link_ == Link::kExited) return;
  if (closing_->code == kExitSuperseded) Disarm(Timer::kReconnect);
  if (AnyActive()) return;
  if (closing_->upload_first && link_ == Link::kOnline && !attempts_.empty()) return;
  ExitNow();
}

void Session::ExitNow() {
  if (!closing_) return;
  if (link_ == Link::kConnecting || link_ == Link::kOnline) CloseConnection();
  link_ = Link::kExited;
  effects_.emplace_back(Exit{closing_->code, closing_->text});
}

v1::Hello Session::MakeHello() {
  v1::Hello hello;
  hello.set_agent_id(options_.agent_id);
  hello.set_boot_id(options_.boot_id);
  hello.set_instance(options_.instance);
  hello.set_version(options_.version);
  for (auto& [id, device] : devices_) {
    device.announced_clean = device.clean && !Occupant(id);
    v1::DeviceAnnouncement* announcement = hello.add_devices();
    *announcement = device.announcement;
    announcement->set_clean(device.announced_clean);
  }
  for (const auto& [fence, attempt] : attempts_) {
    // Not durable is not held: if it is dropped before it is, the controller offers it again.
    if (attempt.stage == Stage::kPersisting || attempt.forget_when_ended) continue;
    v1::HeldAttempt* held = hello.add_held();
    held->set_fence(fence);
    held->set_device_id(attempt.grant.device_id());
    held->set_job_id(attempt.grant.job_id());
    held->set_state(attempt.state);
    held->set_source(attempt.grant.source());
  }
  for (const auto& [id, resource] : resources_) *hello.add_resources() = Announce(resource);
  Fence highest = 0;
  for (const auto& [device, fence] : high_water_) highest = std::max(highest, fence);
  hello.set_highest_fence(highest);
  return hello;
}

void Session::Arm(Timer timer, std::int64_t deadline_ns) {
  deadlines_[Index(timer)] = deadline_ns;
  effects_.emplace_back(ArmTimer{timer, deadline_ns});
}

void Session::Disarm(Timer timer) {
  if (!deadlines_[Index(timer)]) return;
  deadlines_[Index(timer)].reset();
  effects_.emplace_back(DisarmTimer{timer});
}

void Session::SendMessage(v1::AgentMessage message) {
  effects_.emplace_back(Send{connection_, std::move(message)});
}

void Session::Say(Severity severity, std::string text) {
  effects_.emplace_back(Tell{severity, std::move(text)});
}

}  // namespace joulefarm::agent
