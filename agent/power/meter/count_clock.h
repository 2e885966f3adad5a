// A clock for meters that send a steady stream of samples without stamps: it counts them. Stamps
// made from the arrival alone would overlap whenever a report is late, and count energy twice.
//
// Stamps are the count times the nominal period, so their rate is the meter's own, off by a
// constant that TickFit finds; slewed stamps would have a rate that changes, which it cannot.
// What is slewed to the host is a reference beside it, only to see losses: it is held to the
// earliest arrivals of the last second, because a report may come late, but never before it was
// measured. A report that is later than all lateness of the host explains shows that others before
// it are missing; the count then steps over them. How many is a guess: ticks before and after a
// step are not of one piece.
//
// Threads: one. Ownership: values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace joulefarm::agent {

class CountClock {
 public:
  // `period_ns`: nominal, between samples. `per_report`: samples that arrive together.
  CountClock(std::int64_t period_ns, std::size_t per_report);

  // Before the samples of `reports` reports are stamped, of which the last has just arrived and
  // `refused` cannot be used. The number of samples that are missing before them.
  std::int64_t Arrived(std::int64_t arrived_ns, std::size_t reports, std::size_t refused = 0);
  // The stamp of the next sample: its nominal time, ns since the first one, always more than the
  // one before.
  std::int64_t Next();
  // In place of a refused report: its time passes, unless there are more of them than the meter can
  // have sent.
  void Miss();

 private:
  struct Lateness {
    std::int64_t arrived_ns;
    std::int64_t late_ns;
  };

  double Late(std::int64_t arrived_ns, std::size_t reports) const;
  void Slew(std::int64_t arrived_ns);

  const std::int64_t nominal_ns_;
  const std::size_t per_report_;
  std::int64_t count_ = 0;  // samples, missing ones too
  // The reference: what the next sample's time is by it, and its period.
  double period_ns_;
  double next_ns_ = 0;
  // The last second's, increasing: the first is the least.
  std::deque<Lateness> least_;
  std::optional<std::int64_t> begun_ns_;
  bool misses_pass_ = true;
  std::optional<double> target_ns_;  // the least lateness of the first second
  double drift_ = 0;                 // relative, of the meter's rate
  std::int64_t slewed_ns_ = 0;       // arrival at which the rate was last set
};

}  // namespace joulefarm::agent
