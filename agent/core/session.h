// The agent's side of the lease protocol: (state, event, now) → effects. See docs/states.md.
//
// Guarantees, whatever the order of events: no fence is executed twice, no fence at or below a
// device's high-water mark is executed, no two attempts execute on one device, and nothing is
// executed before it is durable. An attempt is executed here in one of two roles: source 0 drives
// the device, a further source (a helper) only measures, with this host's meters, a device of
// another agent. A meter is used by one attempt at a time.
//
// Thread rule: one thread. Ownership: holds values only. Pure: time and randomness are handed in.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/back_off.h"
#include "agent/core/session_types.h"

namespace joulefarm::agent {

// A superseded agent must not be restarted at once by its supervisor: systemd's
// RestartPreventExitStatus takes this.
inline constexpr int kExitSuperseded = 3;

// What was kept from before this process began. Nothing of it runs any more.
struct KeptAttempt {
  Fence fence = 0;
  std::string device_id;
  std::string job_id;
  int source = 0;
  // UPLOADING (it had ended) or INTERRUPTED (it had not).
  v1::AttemptState state = v1::ATTEMPT_STATE_UNSPECIFIED;
};

struct SessionOptions {
  std::string agent_id;
  std::string boot_id;
  std::string instance;
  std::string version;
  std::vector<v1::DeviceAnnouncement> devices;
  std::vector<v1::ResourceAnnouncement> resources;
  std::vector<KeptAttempt> kept;
  // Highest fence ever granted, per device; also of other agents' devices that were measured here.
  std::map<std::string, Fence> high_water;
  std::function<double()> random;  // in [0, 1)
  // How long a connection may take until its Welcome.
  std::int64_t hello_limit_ns = 20'000'000'000;
  // How long an orderly stop may take.
  std::int64_t drain_limit_ns = 15'000'000'000;
};

class Session {
 public:
  enum class Link { kIdle, kConnecting, kOnline, kBackOff, kExited };

  explicit Session(SessionOptions options);

  // `now_ns` never decreases.
  Effects Handle(const Event& event, std::int64_t now_ns);

  Link link() const { return link_; }
  // Highest fence of a device that was granted, refused ones included; 0 for none.
  Fence HighWater(const std::string& device_id) const;

 private:
  enum class Stage { kPersisting, kExecuting, kFinished };
  struct Attempt {
    v1::Grant grant;  // spec only until the attempt is started
    Stage stage = Stage::kPersisting;
    v1::AttemptState state = v1::ATTEMPT_STATE_OFFERED;
    std::string detail;
    v1::OnDisconnect on_disconnect = v1::ON_DISCONNECT_UNSPECIFIED;
    std::optional<StopAttempt> stop;
    bool forget_when_ended = false;
  };
  struct Device {
    v1::DeviceAnnouncement announcement;
    bool clean = true;
    bool announced_clean = true;  // what the last Hello said
    std::optional<std::string> refused;
  };
  struct Resource {
    v1::ResourceAnnouncement announcement;
    std::optional<std::string> refused;
  };
  struct Closing {
    int code = 0;
    std::string text;
    bool upload_first = true;
  };

  void On(const StartRequested& event);
  void On(const DrainRequested& event);
  void On(const WelcomeReceived& event);
  void On(const GrantReceived& event);
  void On(const CancelReceived& event);
  void On(const ReleaseReceived& event);
  void On(const ResourcesChanged& event);
  void On(const HeartbeatAckReceived& event);
  void On(const LinkLost& event);
  void On(const TimerFired& event);
  void On(const GrantPersisted& event);
  void On(const AttemptMoved& event);
  void On(const AttemptEnded& event);
  void On(const EndNotStored& event);
  void On(const AttemptUploaded& event);
  void On(const AttemptRefused& event);
  void On(const FramesMissing& event);

  // session.cc: the link
  bool Current(Connection connection) const;
  bool Hears(Connection connection);
  void Renew();
  void OpenConnection();
  void CloseConnection();
  void Retry();
  void LeaseLapsed();
  void Close(Closing closing);
  void MaybeExit();
  void ExitNow();
  v1::Hello MakeHello();
  void Arm(Timer timer, std::int64_t deadline_ns);
  void Disarm(Timer timer);
  void SendMessage(v1::AgentMessage message);
  void Say(Severity severity, std::string text);

  // session_attempts.cc: what is held
  void ApplyVerdict(const v1::HeldVerdict& verdict);
  std::optional<std::string> WhyNot(const v1::Grant& grant) const;
  std::optional<std::string> WhyNotDevice(const v1::Grant& grant) const;
  void ReplyToGrant(Fence fence, const std::optional<std::string>& refusal);
  void ReportAttempt(Fence fence, const Attempt& attempt);
  void ReportDevice(const std::string& device_id);
  void ReportNotHeld(Fence fence);
  void Stop(Fence fence, StopWhy why, v1::FailureClass failure_class, std::string text);
  void StopAll(StopWhy why, const std::string& text);
  void Cancel(Fence fence, v1::FailureClass failure_class, const std::string& reason);
  void Drop(Fence fence);
  std::optional<Fence> Occupant(const std::string& device_id) const;

  // session_resources.cc: meters and ports of this host
  bool IsOurs(const v1::Grant& grant, const v1::GrantedResource& resource) const;
  std::optional<Fence> UserOf(const std::string& resource_id) const;
  v1::ResourceAnnouncement Announce(const Resource& resource) const;
  void ReportResources(const std::vector<std::string>& ids);
  void ReportAllResources();
  void ReportResourcesOf(const v1::Grant& grant);
  std::optional<std::string> WhyNotResources(const v1::Grant& grant) const;

  bool AnyActive() const;

  SessionOptions options_;
  Link link_ = Link::kIdle;
  Connection connection_ = 0;
  std::int64_t now_ns_ = 0;
  std::int64_t session_epoch_ = 0;
  std::int64_t ttl_ns_ = 0;
  std::int64_t heartbeat_ns_ = 0;
  std::int64_t heartbeat_seq_ = 0;
  std::int64_t online_since_ns_ = 0;
  std::array<std::optional<std::int64_t>, 5> deadlines_;  // by Timer
  BackOff back_off_;
  Reminder unreachable_;
  std::optional<Closing> closing_;
  std::map<Fence, Attempt> attempts_;
  std::map<std::string, Device> devices_;
  std::map<std::string, Resource> resources_;
  std::map<std::string, Fence> high_water_;
  Effects effects_;
};

}  // namespace joulefarm::agent
