// When the controller's clock is asked for: bursts of exchanges, one after the other, and a
// snapshot of the own clocks with each.
//
// Thread rule: one executor. Ownership: the log outlives it. Knows nothing of gRPC; time comes in.
#pragma once

#include <cstdint>
#include <functional>

#include "agent/clock/clock_log.h"
#include "agent/core/session_types.h"

namespace joulefarm::agent {

class ClockProber {
 public:
  static constexpr int kBurst = 8;
  static constexpr std::int64_t kPeriodNs = 2'000'000'000;

  struct Hooks {
    // Ahead of what waits on that connection.
    std::function<void(Connection, v1::AgentMessage)> send;
    // Calls Fired once at the deadline, instead of at an earlier one.
    std::function<void(std::int64_t deadline_ns)> arm;
    std::function<std::int64_t()> now_ns;  // BOOTTIME
    std::function<v1::ClockSnapshot()> read_clocks;
  };

  ClockProber(ClockLog* log, Hooks hooks, std::int64_t period_ns = kPeriodNs);

  // A session is open. While nobody follows the log, bursts come once per heartbeat where that is
  // longer: a controller of many agents asks for long ones.
  void Online(Connection connection, std::int64_t heartbeat_ns);
  void Offline();
  void Fired();
  // A burst now; one that is under way begins anew.
  void Wanted();
  // `arrived_ns`: the first line of the read callback.
  void Replied(Connection connection, const v1::ClockReply& reply, std::int64_t arrived_ns);

 private:
  void Begin();
  void Probe();

  ClockLog* const log_;
  const Hooks hooks_;
  const std::int64_t period_ns_;
  Connection connection_ = 0;
  bool online_ = false;
  std::int64_t heartbeat_ns_ = 0;
  std::int64_t begun_ns_ = 0;
  std::int64_t seq_ = 0;  // of the last probe sent
  int left_ = 0;          // probes of the burst that were not answered yet
};

}  // namespace joulefarm::agent
