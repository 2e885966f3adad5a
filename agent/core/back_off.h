// How long to wait before the next try to reach the controller, and when to say again that it
// cannot be reached.
//
// Thread rule: one thread. Ownership: plain values; randomness is handed in.
#pragma once

#include <cstdint>

namespace joulefarm::agent {

// Exponential with full jitter: ten thousand agents that lost one controller must not come back in
// step.
class BackOff {
 public:
  static constexpr std::int64_t kMinNs = 200'000'000;
  static constexpr std::int64_t kMaxNs = 15'000'000'000;

  // The delay before the next try, in [kMinNs, kMaxNs]; `random` is in [0, 1).
  std::int64_t NextNs(double random);
  void Reset() { step_ = 0; }

 private:
  int step_ = 0;
};

// Says something once, then at growing intervals: 10 s, 20 s, 40 s … 10 min.
class Reminder {
 public:
  // True when it is time to say it (again). `now_ns` never decreases.
  bool Due(std::int64_t now_ns);
  // The trouble is over. True when it had been said, so that its end is worth a word too.
  bool Over();

 private:
  bool said_ = false;
  std::int64_t next_ns_ = 0;
  std::int64_t gap_ns_ = 0;
};

}  // namespace joulefarm::agent
