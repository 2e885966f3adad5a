#include "agent/clock/clock_log.h"

#include <utility>

namespace joulefarm::agent {

ClockLog::Follow::Follow(ClockLog* log, Recorder* recorder) : log_(log), recorder_(recorder) {
  if (log_ == nullptr) return;
  {
    const std::lock_guard lock(log_->mutex_);
    for (const v1::Event& event : log_->kept_) recorder_->Record(event);
    log_->followers_.insert(recorder_);
  }
  if (log_->wanted_) log_->wanted_();
}

ClockLog::Follow::~Follow() {
  if (log_ == nullptr) return;
  const std::lock_guard lock(log_->mutex_);
  log_->followers_.erase(log_->followers_.find(recorder_));
}

void ClockLog::Follow::AwaitBurst(std::stop_token stop, std::chrono::milliseconds most) {
  if (log_ == nullptr || !log_->wanted_) return;
  std::unique_lock lock(log_->mutex_);
  if (!log_->online_) return;
  const std::int64_t before = log_->bursts_;
  lock.unlock();
  log_->wanted_();
  lock.lock();
  log_->changed_.wait_for(lock, std::move(stop), most,
                          [&] { return log_->bursts_ > before || !log_->online_; });
}

void ClockLog::Add(const v1::ClockSnapshot& snapshot) {
  v1::Event event;
  event.set_t_ns(snapshot.boottime_ns());
  *event.mutable_clock() = snapshot;
  Add(std::move(event));
}

void ClockLog::Add(const v1::ClockExchange& exchange) {
  v1::Event event;
  event.set_t_ns(exchange.t4_ns());
  *event.mutable_clock_exchange() = exchange;
  Add(std::move(event));
}

void ClockLog::Add(v1::Event event) {
  const std::lock_guard lock(mutex_);
  for (Recorder* recorder : followers_) recorder->Record(event);
  kept_.push_back(std::move(event));
  if (kept_.size() > kKept) kept_.pop_front();
}

void ClockLog::BurstDone() {
  {
    const std::lock_guard lock(mutex_);
    ++bursts_;
  }
  changed_.notify_all();
}

void ClockLog::SetOnline(bool online) {
  {
    const std::lock_guard lock(mutex_);
    online_ = online;
  }
  changed_.notify_all();
}

bool ClockLog::followed() const {
  const std::lock_guard lock(mutex_);
  return !followers_.empty();
}

}  // namespace joulefarm::agent
