#include "agent/telemetry/telemetry_sender.h"

#include <chrono>

#include "agent/process/boottime.h"

namespace joulefarm::agent {

TelemetrySender::~TelemetrySender() {
  std::jthread thread;
  {
    const std::lock_guard lock(mutex_);
    thread = std::move(thread_);
  }
}

void TelemetrySender::Ask(Connection connection, const v1::WatchDevice& ask) {
  {
    const std::lock_guard lock(mutex_);
    watch_.Ask(ask, BoottimeNs());
    connection_ = connection;
    if (!thread_.joinable())
      thread_ = std::jthread([this](const std::stop_token& stop) { Loop(stop); });
  }
  changed_.notify_one();
}

void TelemetrySender::Loop(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (!watch_.NextNs()) {
      lock.unlock();
      hooks_.rest();
      lock.lock();
      changed_.wait(lock, stop, [this] { return watch_.NextNs().has_value(); });
      continue;
    }
    const std::chrono::nanoseconds wait(*watch_.NextNs() - BoottimeNs());
    changed_.wait_for(lock, stop, wait, [] { return false; });
    if (stop.stop_requested() || !watch_.TakeDue(BoottimeNs())) continue;
    const Connection connection = connection_;
    lock.unlock();
    hooks_.tell(connection);
    lock.lock();
  }
}

}  // namespace joulefarm::agent
