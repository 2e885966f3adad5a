// A session with fake time, and its effects as short texts.
//
// Thread rule: one thread. Ownership: values.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/core/session.h"

namespace joulefarm::agent {

inline constexpr std::int64_t kSec = 1'000'000'000;

inline const char* TimerName(Timer timer) {
  switch (timer) {
    case Timer::kReconnect:
      return "reconnect";
    case Timer::kHello:
      return "hello";
    case Timer::kHeartbeat:
      return "heartbeat";
    case Timer::kLease:
      return "lease";
    case Timer::kDrain:
      return "drain";
  }
  return "";
}

inline const char* WhyName(StopWhy why) {
  switch (why) {
    case StopWhy::kCanceled:
      return "canceled";
    case StopWhy::kAborted:
      return "aborted";
    case StopWhy::kUploadOnly:
      return "upload_only";
    case StopWhy::kLeaseLapsed:
      return "lease";
    case StopWhy::kShutdown:
      return "shutdown";
    case StopWhy::kTimedOut:
      return "timed_out";
    case StopWhy::kSpoolFailed:
      return "spool";
    case StopWhy::kReleased:
      return "released";
  }
  return "";
}

struct Describe {
  std::string operator()(const Connect& e) { return absl::StrCat("connect", Held(e.hello)); }
  std::string operator()(const Disconnect&) { return "disconnect"; }
  std::string operator()(const OpenUpload& e) {
    return absl::StrCat("upload:", e.session_epoch, e.cursors.empty() ? "" : "+cursors");
  }
  std::string operator()(const Send& e) {
    const v1::AgentMessage& m = e.message;
    if (m.has_heartbeat()) return "heartbeat";
    if (m.has_grant_reply()) {
      return absl::StrCat(m.grant_reply().accepted() ? "accept:" : "reject:",
                          m.grant_reply().fence());
    }
    if (m.has_attempt_report()) {
      return absl::StrCat("report:", m.attempt_report().fence(), "=",
                          v1::AttemptState_Name(m.attempt_report().state()).substr(14));
    }
    if (m.has_resource_report()) {
      std::vector<std::string> parts;
      for (const v1::ResourceAnnouncement& resource : m.resource_report().resources())
        parts.push_back(Resource(resource));
      return absl::StrCat("has:", absl::StrJoin(parts, "+"));
    }
    return absl::StrCat(m.device_report().clean() ? "clean:" : "dirty:",
                        m.device_report().device_id());
  }
  std::string operator()(const PersistGrant& e) {
    return absl::StrCat("persist:", e.grant.fence());
  }
  std::string operator()(const StartAttempt& e) { return absl::StrCat("start:", e.grant.fence()); }
  std::string operator()(const StopAttempt& e) {
    return absl::StrCat("stop:", e.fence, "=", WhyName(e.why));
  }
  std::string operator()(const ForgetAttempt& e) { return absl::StrCat("forget:", e.fence); }
  std::string operator()(const ArmTimer& e) { return absl::StrCat("arm:", TimerName(e.timer)); }
  std::string operator()(const DisarmTimer& e) {
    return absl::StrCat("disarm:", TimerName(e.timer));
  }
  std::string operator()(const Tell&) { return "tell"; }
  std::string operator()(const Exit& e) { return absl::StrCat("exit:", e.code); }

  // "m1", "m1=7" while attempt 7 uses it, "m1!" where something is in its way.
  static std::string Resource(const v1::ResourceAnnouncement& resource) {
    const auto user = resource.labels().find("attempt");
    return absl::StrCat(resource.resource_id(),
                        user == resource.labels().end() ? "" : "=" + user->second,
                        resource.obstacle().empty() ? "" : "!");
  }

  static std::string Held(const v1::Hello& hello) {
    std::string text;
    for (const v1::HeldAttempt& held : hello.held()) {
      absl::StrAppend(&text, ",", held.fence(), "=",
                      v1::AttemptState_Name(held.state()).substr(14));
    }
    return text;
  }
};

inline std::string ToText(const Effects& effects) {
  std::vector<std::string> parts;
  for (const Effect& effect : effects) parts.push_back(std::visit(Describe{}, effect));
  return absl::StrJoin(parts, " ");
}

inline SessionOptions TestOptions(std::vector<std::string> devices = {"d1", "d2"}) {
  SessionOptions options;
  options.agent_id = "a";
  options.boot_id = "boot";
  options.instance = "i";
  options.version = "test";
  for (const std::string& id : devices) {
    v1::DeviceAnnouncement device;
    device.set_device_id(id);
    device.set_clean(true);
    options.devices.push_back(device);
  }
  options.random = [] { return 0.5; };
  return options;
}

class Farmhand {
 public:
  explicit Farmhand(SessionOptions options) : session(std::move(options)) {}

  std::string Do(const Event& event) {
    last = session.Handle(event, now);
    for (const Effect& effect : last) {
      if (const auto* connect = std::get_if<Connect>(&effect)) {
        connection = connect->connection;
        hello = connect->hello;
      }
    }
    return ToText(last);
  }

  v1::Welcome Welcome(std::int64_t epoch = 7) {
    v1::Welcome welcome;
    welcome.set_session_epoch(epoch);
    welcome.set_ttl_ns(30 * kSec);
    welcome.set_heartbeat_ns(5 * kSec);
    return welcome;
  }
  void Online(std::int64_t epoch = 7) {
    Do(StartRequested{});
    Do(WelcomeReceived{connection, Welcome(epoch)});
  }
  v1::Grant Grant(Fence fence, const std::string& device = "d1", std::int64_t epoch = 7,
                  v1::OnDisconnect on_disconnect = v1::ON_DISCONNECT_CONTINUE) {
    v1::Grant grant;
    grant.set_fence(fence);
    grant.set_session_epoch(epoch);
    grant.set_device_id(device);
    grant.set_job_id(absl::StrCat("job-", fence));
    grant.mutable_spec()->set_on_disconnect(on_disconnect);
    return grant;
  }
  static v1::ResourceAnnouncement Meter(const std::string& id, const std::string& obstacle = "") {
    v1::ResourceAnnouncement meter;
    meter.set_resource_id(id);
    meter.set_kind(v1::RESOURCE_KIND_METER);
    meter.set_obstacle(obstacle);
    return meter;
  }
  // With a meter of an agent, as its source.
  v1::Grant GrantWith(v1::Grant grant, const std::string& meter, int source,
                      const std::string& agent = "a") {
    v1::GrantedResource& resource = *grant.add_resources();
    resource.set_resource_id(meter);
    resource.set_agent_id(agent);
    resource.set_source(source);
    return grant;
  }
  // To measure a device of another agent.
  v1::Grant HelperGrant(Fence fence, const std::string& meter = "m1") {
    v1::Grant grant = GrantWith(Grant(fence, "far"), meter, 1);
    grant.set_source(1);
    return grant;
  }
  std::string Release(Fence fence) {
    v1::ReleaseSource release;
    release.set_fence(fence);
    release.set_source(1);
    return Do(ReleaseReceived{connection, release});
  }
  // An attempt that executes.
  void Running(Fence fence, const std::string& device = "d1",
               v1::OnDisconnect on_disconnect = v1::ON_DISCONNECT_CONTINUE) {
    Do(GrantReceived{connection, Grant(fence, device, 7, on_disconnect)});
    Do(GrantPersisted{fence, absl::OkStatus()});
    Do(AttemptMoved{fence, v1::ATTEMPT_STATE_RUNNING, "run 1 of 3"});
  }
  std::string Lost(absl::Status status = absl::UnavailableError("gone"), Rpc rpc = Rpc::kControl) {
    return Do(LinkLost{connection, rpc, std::move(status)});
  }
  std::string Cancel(Fence fence) {
    v1::CancelAttempt cancel;
    cancel.set_fence(fence);
    cancel.set_reason("operator");
    return Do(CancelReceived{connection, cancel});
  }

  Session session;
  std::int64_t now = 1000 * kSec;
  Connection connection = 0;
  v1::Hello hello;
  Effects last;
};

}  // namespace joulefarm::agent
