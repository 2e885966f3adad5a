// What drivers over a serial line share: reading into a decoder, and silence before a conversation.
//
// Threads: one. Ownership: none; everything is lent for the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "agent/power/link/link.h"
#include "agent/power/meter/decoder.h"
#include "agent/power/meter/driver.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {

// Decodes what arrived on a serial line into `batch`, the rest behind every refusal included. An
// error: the device must not be used now (FAILED_PRECONDITION).
absl::Status DecodeInto(MeterDecoder& decoder, Bytes bytes, MeterBatch& batch);

// All that has arrived, but at most `most` bytes, and the first within `timeout_ms`: stamped and
// decoded into `batch`. OK with nothing arrived.
absl::Status ReadInto(Link& link, std::size_t most, int timeout_ms, MeterDecoder& decoder,
                      MeterBatch& batch, const std::function<std::int64_t()>& now = BoottimeNs);

// Lets what a fast meter sends pile up for a moment, so that its thread wakes about 50 times a
// second and not for every frame; the kernel keeps more than that. What has piled up says little
// about when it arrived: that a following read, which waits for the next frame, tells.
void LetPileUp();

// Throws away what has arrived, until nothing comes for `quiet_ms`. DATA_LOSS: it does not end.
absl::Status DrainLine(Link& link, int quiet_ms);

// Asks a meter that only answers, at most at its rate.
class PolledLine {
 public:
  // A reply that took longer is refused: a stamp is the middle, so none is off by more than half.
  static constexpr std::int64_t kLongestRoundTripNs = 250'000'000;

  // `reply_size`: of the whole reply to `request`; `fastest_ms`: between two requests; `now`:
  // BOOTTIME, ns, tests have their own.
  PolledLine(std::vector<std::uint8_t> request, std::size_t reply_size, int fastest_ms,
             std::function<std::int64_t()> now = BoottimeNs)
      : request_(std::move(request)),
        reply_size_(reply_size),
        fastest_ms_(fastest_ms),
        now_(std::move(now)) {}

  // 0: as fast as the meter allows.
  void Start(double rate_hz);
  // One request and its reply, or the wait for the next request's time. A late, long or partial
  // reply is refused: it cannot be told which request it belongs to.
  absl::Status Poll(Link& link, MeterDecoder& decoder, MeterBatch& batch);

 private:
  absl::Status AwaitTurn(Link& link, MeterBatch& batch, bool& my_turn);
  int MsUntil(std::int64_t end_ns) const;

  const std::vector<std::uint8_t> request_;
  const std::size_t reply_size_;
  const int fastest_ms_;
  const std::function<std::int64_t()> now_;
  std::int64_t period_ns_ = 0;
  std::int64_t next_ns_ = 0;
  bool in_step_ = false;  // nothing of an older reply can still arrive
};

}  // namespace joulefarm::agent
