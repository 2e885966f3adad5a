// The conversation with a PTDaemon; see ptdaemon.h.
//
// When a sample was taken is not asked of the daemon, whose clock is another's and jumps: it was
// after the question before this one, to which it was not an answer yet, and before this reply
// began.
//
// Threads: see MeterDriver. Ownership: owns its decoder.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/power/meter/driver.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {

class PtdaemonDriver : public MeterDriver {
 public:
  // From one question to the reply to the next, at most, for a sample in it to be used: room for a
  // poll's period, a packet that is sent twice, and a daemon that is busy with its analyser.
  static constexpr std::int64_t kLongestSpanNs = 500'000'000;

  // `now`: BOOTTIME, ns; tests have their own.
  explicit PtdaemonDriver(std::function<std::int64_t()> now = BoottimeNs);

  absl::StatusOr<MeterIdentity> Start(Link& link, double rate_hz) override;
  absl::Status Step(Link& link, MeterBatch& batch) override;
  void Stop(Link& link) override;

 private:
  // The next line, without its end. DEADLINE_EXCEEDED: none came in time.
  absl::StatusOr<std::string> ReadLine(Link& link, int timeout_ms);
  absl::Status Send(Link& link, const std::string& command);
  // Sends a command and returns the first line of the reply.
  absl::StatusOr<std::string> Ask(Link& link, const std::string& command);

  // A line of samples, of which so many are still to come behind it.
  void Take(const std::string& line, std::int64_t behind, MeterBatch& batch);
  // Nothing was new: waits a little before the next question.
  absl::Status Idle(Link& link, MeterBatch& batch);
  // Waits for the reply under way to go on. nullopt: it has not, and there is time left.
  absl::StatusOr<std::optional<std::string>> Await(Link& link);

  const std::function<std::int64_t()> now_;
  std::unique_ptr<MeterDecoder> decoder_;
  // A reply under way: steps end before it does where the daemon is slow.
  bool asked_ = false;
  std::int64_t before_ns_ = 0;   // when the question before it was asked
  std::int64_t asked_ns_ = 0;    // when its own was
  std::int64_t replied_ns_ = 0;  // when it began
  std::int64_t expected_ = 0;    // lines of samples still to come
  int waited_ms_ = 0;
  std::string text_;  // what has arrived of the next line
};

}  // namespace joulefarm::agent
