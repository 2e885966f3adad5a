// The conversation with a PTDaemon; see ptdaemon.h.
//
// Threads: see MeterDriver. Ownership: owns its decoder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "agent/power/meter/driver.h"

namespace joulefarm::agent {

class PtdaemonDriver : public MeterDriver {
 public:
  PtdaemonDriver();

  absl::StatusOr<MeterIdentity> Start(Link& link, double rate_hz) override;
  absl::Status Step(Link& link, MeterBatch& batch) override;
  void Stop(Link& link) override;

 private:
  // The next line, without its end. DEADLINE_EXCEEDED: none came in time.
  absl::StatusOr<std::string> ReadLine(Link& link, int timeout_ms);
  absl::Status Send(Link& link, const std::string& command);
  // Sends a command and returns the first line of the reply.
  absl::StatusOr<std::string> Ask(Link& link, const std::string& command);

  void Take(const std::string& line, MeterBatch& batch);
  // Nothing was new: waits a little before the next question.
  absl::Status Idle(Link& link, MeterBatch& batch);
  // Waits for the reply under way to go on. nullopt: it has not, and there is time left.
  absl::StatusOr<std::optional<std::string>> Await(Link& link);

  std::unique_ptr<MeterDecoder> decoder_;
  // A reply under way: steps end before it does where the daemon is slow.
  bool asked_ = false;
  std::int64_t expected_ = 0;  // lines of samples still to come
  int waited_ms_ = 0;
  std::string text_;  // what has arrived of the next line
};

}  // namespace joulefarm::agent
