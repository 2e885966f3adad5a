// When telemetry is due: at once when somebody begins to look, then every period, until nobody
// looks any more.
//
// Threads: one at a time; the owner locks. Ownership: values. Pure: time is handed in.
#pragma once

#include <cstdint>
#include <optional>

#include "joulefarm/v1/agent_service.pb.h"

namespace joulefarm::agent {

class TelemetryWatch {
 public:
  // Extends a watch that goes on, and begins one otherwise.
  void Ask(const v1::WatchDevice& ask, std::int64_t now_ns);
  // When TakeDue may say yes next; nullopt: nobody looks.
  std::optional<std::int64_t> NextNs() const { return next_ns_; }
  // Whether telemetry is due now. Deadlines that have passed are not made up for.
  bool TakeDue(std::int64_t now_ns);

 private:
  std::optional<std::int64_t> next_ns_;
  std::int64_t period_ns_ = 0;
  std::int64_t until_ns_ = 0;
};

}  // namespace joulefarm::agent
