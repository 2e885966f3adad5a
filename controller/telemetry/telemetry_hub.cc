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
    if (it != devices_.end() && it->second.session == session) it->second.asked_ns.reset();
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
    it = it->second.session == session ? devices_.erase(it) : std::next(it);
  }
}

void TelemetryHub::Received(SessionId session, const v1::Telemetry& telemetry) {
  std::vector<Listener> listeners;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto it = devices_.find(telemetry.device_id());
    if (it == devices_.end() || it->second.session != session) return;
    it->second.newest = telemetry;
    it->second.newest_ns = now_ns_();
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
