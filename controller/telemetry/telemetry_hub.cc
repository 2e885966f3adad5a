#include "controller/telemetry/telemetry_hub.h"

#include <algorithm>

namespace joulefarm::controller {

TelemetryHub::TelemetryHub(std::function<std::int64_t()> now_ns, Ask ask, TelemetryOptions options)
    : now_ns_(std::move(now_ns)), ask_(std::move(ask)), options_(options) {}

bool TelemetryHub::IsWatched(const std::string& device) const {
  return std::any_of(subscribers_.begin(), subscribers_.end(),
                     [&](const auto& entry) { return entry.second.Wants(device); });
}

bool TelemetryHub::IsFresh(const Device& device, std::int64_t now_ns) const {
  return device.newest.has_value() && now_ns - device.newest_ns <= options_.stale_ns;
}

void TelemetryHub::AddQuestion(const std::string& id, Device& device, std::int64_t now_ns,
                               Questions& questions) const {
  if (device.session == 0) return;
  if (device.asked_ns && now_ns - *device.asked_ns < options_.for_ns / 2) return;
  device.asked_ns = now_ns;
  questions.emplace_back(device.session, id);
  if (device.helper.session != 0) questions.emplace_back(device.helper.session, id);
}

void TelemetryHub::Put(const Questions& questions) {
  for (const auto& [session, id] : questions) {
    v1::WatchDevice watch;
    watch.set_device_id(id);
    watch.set_period_ns(options_.period_ns);
    watch.set_for_ns(options_.for_ns);
    if (ask_(session, watch)) continue;
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto it = devices_.find(id);
    if (it != devices_.end() &&
        (it->second.session == session || it->second.helper.session == session)) {
      it->second.asked_ns.reset();
    }
  }
}

void TelemetryHub::Opened(SessionId session, const std::vector<std::string>& devices) {
  Questions questions;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const std::int64_t now_ns = now_ns_();
    for (const std::string& id : devices) {
      Device& device = devices_[id];
      device.session = session;
      device.asked_ns.reset();
      if (IsWatched(id)) AddQuestion(id, device, now_ns, questions);
    }
  }
  Put(questions);
}

void TelemetryHub::Gone(SessionId session) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto it = devices_.begin(); it != devices_.end();) {
    Device& device = it->second;
    if (device.helper.session == session) device.helper = {};
    // Who measures it goes on meanwhile.
    if (device.session == session) {
      Device out_of_reach;
      out_of_reach.helper = std::move(device.helper);
      device = std::move(out_of_reach);
    }
    it = device.session == 0 && device.helper.session == 0 ? devices_.erase(it) : std::next(it);
  }
}

void TelemetryHub::Helps(SessionId session, const std::string& id, Fence fence) {
  Questions questions;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    Device& device = devices_[id];
    device.helper = {session, fence, std::nullopt, 0};
    device.asked_ns.reset();
    if (IsWatched(id)) AddQuestion(id, device, now_ns_(), questions);
  }
  Put(questions);
}

void TelemetryHub::Released(SessionId session, Fence fence) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto it = devices_.begin(); it != devices_.end();) {
    Device& device = it->second;
    if (device.helper.session == session && device.helper.fence == fence) device.helper = {};
    it = device.session == 0 && device.helper.session == 0 ? devices_.erase(it) : std::next(it);
  }
}

v1::Telemetry TelemetryHub::WithPowerOfHelper(const Device& device, v1::Telemetry telemetry,
                                              std::int64_t now_ns) const {
  const Helper& helper = device.helper;
  if (!helper.newest || now_ns - helper.newest_ns > options_.stale_ns) return telemetry;
  if (!telemetry.has_fence() || telemetry.fence() != helper.fence) return telemetry;
  if (!helper.newest->has_power_w()) return telemetry;
  telemetry.set_power_w(helper.newest->power_w());
  telemetry.set_provenance(helper.newest->provenance());
  telemetry.set_channel(helper.newest->channel());
  return telemetry;
}

void TelemetryHub::Received(SessionId session, const v1::Telemetry& said) {
  std::vector<Listener> listeners;
  v1::Telemetry telemetry;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto it = devices_.find(said.device_id());
    if (it == devices_.end()) return;
    Device& device = it->second;
    const std::int64_t now_ns = now_ns_();
    if (device.session != session) {
      // Shown with the next news of the device itself.
      if (device.helper.session == session && device.helper.fence == said.fence()) {
        device.helper.newest = said;
        device.helper.newest_ns = now_ns;
      }
      return;
    }
    telemetry = WithPowerOfHelper(device, said, now_ns);
    device.newest = telemetry;
    device.newest_ns = now_ns;
    for (const auto& [key, subscriber] : subscribers_) {
      if (subscriber.Wants(telemetry.device_id())) listeners.push_back(subscriber.listener);
    }
  }
  for (const Listener& listener : listeners) listener(telemetry);
}

std::optional<v1::Telemetry> TelemetryHub::Look(const std::string& id) {
  Questions questions;
  std::optional<v1::Telemetry> newest;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto it = devices_.find(id);
    if (it == devices_.end()) return std::nullopt;
    const std::int64_t now_ns = now_ns_();
    AddQuestion(id, it->second, now_ns, questions);
    if (IsFresh(it->second, now_ns)) newest = it->second.newest;
  }
  Put(questions);
  return newest;
}

TelemetryHub::Subscription TelemetryHub::Subscribe(std::set<std::string> devices,
                                                   const Listener& listener) {
  std::vector<v1::Telemetry> known;
  Subscription subscription = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    subscription = ++last_subscription_;
    const Subscriber& subscriber = subscribers_[subscription] =
        Subscriber{std::move(devices), listener};
    const std::int64_t now_ns = now_ns_();
    for (const auto& [id, device] : devices_) {
      if (subscriber.Wants(id) && IsFresh(device, now_ns)) known.push_back(*device.newest);
    }
  }
  for (const v1::Telemetry& telemetry : known) listener(telemetry);
  Extend();
  return subscription;
}

void TelemetryHub::Unsubscribe(Subscription subscription) {
  Listener last;  // destroyed after the lock
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = subscribers_.find(subscription);
  if (it == subscribers_.end()) return;
  last = std::move(it->second.listener);
  subscribers_.erase(it);
}

bool TelemetryHub::Extend() {
  Questions questions;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (subscribers_.empty()) return false;
    const std::int64_t now_ns = now_ns_();
    for (auto& [id, device] : devices_) {
      if (IsWatched(id)) AddQuestion(id, device, now_ns, questions);
    }
  }
  Put(questions);
  return true;
}

}  // namespace joulefarm::controller
