// What devices are doing just now: asked of agents only while somebody watches, never stored.
//
// Beside the farm, not in it: nothing here decides anything. An agent is asked for a few seconds of
// telemetry at a time, and again while somebody still watches; when nobody does, it falls silent by
// itself.
//
// Thread rule: any thread. `ask` and listeners are called without a lock and must not block. A
// listener may be called once more while Unsubscribe returns. Ownership: values and the listeners.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/events.h"
#include "joulefarm/v1/agent_service.pb.h"

namespace joulefarm::controller {

struct TelemetryOptions {
  std::int64_t period_ns = 1'000'000'000;
  // How long one question lasts; it is put again when half of it is over.
  std::int64_t for_ns = 10'000'000'000;
  // Older news is not shown any more.
  std::int64_t stale_ns = 3'500'000'000;
};

class TelemetryHub {
 public:
  // Sends a question to a session. False when its stream is busy: asked again later.
  using Ask = std::function<bool(SessionId session, const v1::WatchDevice& watch)>;
  using Listener = std::function<void(const v1::Telemetry&)>;
  using Subscription = std::int64_t;

  TelemetryHub(std::function<std::int64_t()> now_ns, Ask ask, TelemetryOptions options = {});

  // A session was welcomed with these devices.
  void Opened(SessionId session, const std::vector<std::string>& devices);
  void Gone(SessionId session);
  // A session was granted to measure an attempt of a device of another one, which may be out of
  // reach yet: its power is what is shown of that attempt. Until Released, or until the next one.
  void Helps(SessionId session, const std::string& device, Fence fence);
  void Released(SessionId session, Fence fence);
  // Counts only for devices of that session, or what it measures for others.
  void Received(SessionId session, const v1::Telemetry& telemetry);

  // Somebody looks at a device, now and for the next seconds. The newest telemetry of it; nullopt
  // while there is none: out of reach, an agent that knows no telemetry, or it was only just asked.
  std::optional<v1::Telemetry> Look(const std::string& device);

  // What comes of these devices (none: of all) from now on, what is known already first. As long as
  // somebody subscribes, Extend must be called every few seconds.
  Subscription Subscribe(std::set<std::string> devices, const Listener& listener);
  void Unsubscribe(Subscription subscription);
  // Asks for more where subscribers' questions run out. False when nobody subscribes.
  bool Extend();

 private:
  struct Helper {
    SessionId session = 0;  // 0: none
    Fence fence = 0;
    std::optional<v1::Telemetry> newest;
    std::int64_t newest_ns = 0;
  };
  struct Device {
    SessionId session = 0;  // 0: out of reach
    Helper helper;
    std::optional<std::int64_t> asked_ns;
    std::optional<v1::Telemetry> newest;
    std::int64_t newest_ns = 0;
  };
  struct Subscriber {
    std::set<std::string> devices;  // empty: all
    Listener listener;
    bool Wants(const std::string& device) const {
      return devices.empty() || devices.count(device) > 0;
    }
  };
  using Questions = std::vector<std::pair<SessionId, std::string>>;

  // Called with mutex_ held.
  void AddQuestion(const std::string& id, Device& device, std::int64_t now_ns,
                   Questions& questions) const;
  bool IsWatched(const std::string& device) const;
  v1::Telemetry WithPowerOfHelper(const Device& device, v1::Telemetry telemetry,
                                  std::int64_t now_ns) const;
  bool IsFresh(const Device& device, std::int64_t now_ns) const;
  // Called without it.
  void Put(const Questions& questions);

  const std::function<std::int64_t()> now_ns_;
  const Ask ask_;
  const TelemetryOptions options_;
  std::mutex mutex_;  // guards what follows
  std::map<std::string, Device> devices_;
  std::map<Subscription, Subscriber> subscribers_;
  Subscription last_subscription_ = 0;
};

}  // namespace joulefarm::controller
