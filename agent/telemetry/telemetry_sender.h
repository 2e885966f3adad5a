// Has telemetry sent while somebody watches.
//
// Threads: Ask from any; the hooks are called on a thread of the sender's own, which begins with
// the first question and sleeps while nobody looks. Ownership: owns its thread; the destructor
// stops it.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "agent/core/session_types.h"
#include "agent/telemetry/telemetry_watch.h"
#include "joulefarm/v1/agent_service.pb.h"

namespace joulefarm::agent {

class TelemetrySender {
 public:
  struct Hooks {
    // Reads and sends, to the connection that asked last; may take a while.
    std::function<void(Connection)> tell;
    // Nobody looks any more.
    std::function<void()> rest;
  };

  explicit TelemetrySender(Hooks hooks) : hooks_(std::move(hooks)) {}
  ~TelemetrySender();
  TelemetrySender(const TelemetrySender&) = delete;
  TelemetrySender& operator=(const TelemetrySender&) = delete;

  void Ask(Connection connection, const v1::WatchDevice& ask);

 private:
  void Loop(const std::stop_token& stop);

  const Hooks hooks_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable_any changed_;
  TelemetryWatch watch_;
  Connection connection_ = 0;
  std::jthread thread_;
};

}  // namespace joulefarm::agent
