// From a meter's own clock to its host's, from the arrivals of its ticks.
//
// A tick arrives after it was; how long after, at the least, is the meter's constant latency, which
// no arrival tells (edge_pattern.h does). So what is sought is the host's time of a tick plus that
// latency: never later than the arrival, and equal to it, within `slack_ns`, at least once in every
// window. Between those the meter's rate is constant but for `wander`. What is left of every
// instant is an interval; the estimate is its middle, the bound half of it.
//
// A piece too short for one window says neither: its rate counts as 1, off by the tolerance, and
// of its arrivals the best is `short_late_ns` late at most, so its bound is wider.
//
// Threads: a value, then pure. Ownership: values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace joulefarm {

struct TickPair {
  std::int64_t tick_ns = 0;
  std::int64_t arrived_ns = 0;  // BOOTTIME of the host
  bool restarted = false;       // the meter began to count anew with this one
};

struct TickFitOptions {
  double rate_tolerance = 0.01;  // of the meter's mean rate from 1
  double wander = 100e-6;        // of its rate from its mean
  std::int64_t window_ns = 2'000'000'000;
  std::size_t window_pairs = 32;  // that may be in time, at least, in a window
  std::int64_t slack_ns = 200'000;
  // Of a piece that has no such window.
  std::size_t short_pairs = 3;                    // at least
  std::int64_t short_late_ns = 50'000'000;        // of the arrival that is least late, at most
  std::int64_t longest_late_ns = 10'000'000'000;  // without an arrival in time
};

struct TickTime {
  std::int64_t t_ns = 0;  // BOOTTIME of the host, the meter's latency still in it
  std::int64_t bound_ns = 0;
  int piece = 0;      // between restarts; nothing is interpolated across
  double wander = 0;  // of the meter's rate around its mean, at most
};

class TickFit {
 public:
  // Pairs in the order they came.
  explicit TickFit(absl::Span<const TickPair> pairs, TickFitOptions options = {});

  // nullopt: no piece holds the tick, or it cannot be used.
  std::optional<TickTime> At(std::int64_t tick_ns) const;

  // Why pieces cannot be used; empty: all can.
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  struct Window {
    std::size_t first = 0;  // of `near`
    std::size_t last = 0;   // one beyond
  };
  struct Piece {
    std::vector<std::int64_t> tick_ns;
    std::vector<std::int64_t> arrived_ns;
    std::vector<double> late_ns;    // arrival less where the mean rate puts it; relative to base
    std::vector<double> upper_ns;   // the same of the interval's upper end
    std::vector<std::size_t> near;  // the pairs that may have arrived in time
    std::vector<Window> windows;    // not empty where usable
    double rate = 1;                // host's ns per tick's
    double wander = 0;              // with what the mean rate may be off by
    double slack_ns = 0;            // that the arrival in time of a window may be late by
    bool usable = false;
  };

  void Fit(Piece& piece);
  void FitShort(Piece& piece);
  // Lateness and `near` from rate, wander and slack. The longest time without an arrival in time.
  static double FindNear(Piece& piece);
  bool Full(const Piece& piece, std::size_t first, std::size_t last) const;
  bool CheckLate(Piece& piece, double longest_late_ns);
  void MakeWindows(Piece& piece) const;
  void Refuse(Piece& piece, std::string why);
  double Upper(const Piece& piece, std::int64_t tick_ns) const;
  double Lower(const Piece& piece, std::int64_t tick_ns) const;
  double Expected(const Piece& piece, std::int64_t tick_ns) const;

  TickFitOptions options_;
  std::vector<Piece> pieces_;  // by tick
  std::vector<std::string> problems_;
};

}  // namespace joulefarm
