// Where the offset between two hosts' clocks can be, from exchanges of four stamps: an interval
// that holds whatever the two directions' delays are, as long as they are not negative and the
// clocks' rates differ by no more than `rho`.
//
// One exchange: t1 and t4 on the own clock, t2 and t3 on the peer's. Offset θ = peer - own.
//   The message was there after it was sent:  θ(t1) <= t2 - t1
//   so was the answer:                        θ(t4) >= t3 - t4
// At another instant each is wider by that times the time between; all of them hold together. The
// estimate is the middle of what is left, which nothing else can be closer to in the worst case.
//
// Threads: a value, then pure. Ownership: values; the segments are borrowed and outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "common/clock/clock_segments.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm {

// Reading and rounding, on top of every bound.
inline constexpr std::int64_t kClockResolutionNs = 1000;

struct OffsetEstimate {
  std::int64_t offset_ns = 0;  // peer - own
  std::int64_t bound_ns = 0;   // it is off by at most this
  int segment = 0;
};

// Exchanges that cannot all be true: some clock did not run as it should.
struct OffsetViolation {
  std::int64_t t_ns = 0;
  double by_ns = 0;  // how far apart what they say is
};

class FeasibleOffset {
 public:
  // Exchanges with one boot of one peer, in any order.
  FeasibleOffset(absl::Span<const v1::ClockExchange> exchanges, const ClockSegments* segments,
                 double rho = kMostPeerRate);

  // At an instant of the own clock. nullopt: between segments, in one without an exchange both
  // ways, or in one whose exchanges contradict each other.
  std::optional<OffsetEstimate> At(std::int64_t t_ns) const;

  // An instant of each segment that At answers in.
  std::vector<std::int64_t> Anchors() const;

  // The worst of each segment that has one.
  const std::vector<OffsetViolation>& violations() const { return violations_; }

 private:
  // One side of the interval, at the stamps that bound it: less base_ns_.
  struct Side {
    std::vector<std::int64_t> t_ns;
    std::vector<double> value_ns;
  };
  struct Segment {
    Side upper;
    Side lower;  // negated, so that both are kept low
    bool usable = false;
  };

  void Judge(Segment& segment);
  double Lowest(const Side& side, std::int64_t t_ns) const;

  const ClockSegments* segments_;
  double rho_;
  std::int64_t base_ns_ = 0;
  std::vector<Segment> by_segment_;
  std::vector<OffsetViolation> violations_;
};

}  // namespace joulefarm
