#include "common/clock/feasible_offset.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

namespace joulefarm {
namespace {

struct Limit {
  std::int64_t t_ns;
  std::int64_t offset_ns;
};

// to - from; nullopt where no clock could have said both.
std::optional<std::int64_t> Difference(std::int64_t from, std::int64_t to) {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(to, from, &difference)) return std::nullopt;
  return difference;
}

double Distance(std::int64_t a, std::int64_t b) {
  return std::abs(static_cast<double>(a) - static_cast<double>(b));
}

}  // namespace

FeasibleOffset::FeasibleOffset(absl::Span<const v1::ClockExchange> exchanges,
                               const ClockSegments* segments, double rho)
    : segments_(segments), rho_(rho), by_segment_(static_cast<std::size_t>(segments->count())) {
  std::vector<Limit> upper;
  std::vector<Limit> lower;
  for (const v1::ClockExchange& exchange : exchanges) {
    const auto there = Difference(exchange.t1_ns(), exchange.t2_ns());
    const auto back = Difference(exchange.t4_ns(), exchange.t3_ns());
    if (!there || !back) continue;
    upper.push_back({exchange.t1_ns(), *there});
    lower.push_back({exchange.t4_ns(), *back});
  }
  if (upper.empty()) return;
  base_ns_ = upper.front().offset_ns;
  const auto fill = [&](std::vector<Limit>& limits, Side Segment::*side, double sign) {
    std::stable_sort(limits.begin(), limits.end(),
                     [](const Limit& a, const Limit& b) { return a.t_ns < b.t_ns; });
    for (const Limit& limit : limits) {
      const std::optional<int> segment = segments_->Of(limit.t_ns);
      const auto value = Difference(base_ns_, limit.offset_ns);
      if (!segment || !value) continue;
      Side& into = by_segment_[static_cast<std::size_t>(*segment)].*side;
      into.t_ns.push_back(limit.t_ns);
      into.value_ns.push_back(sign * static_cast<double>(*value));
    }
    for (Segment& segment : by_segment_) {
      Side& into = segment.*side;
      const std::size_t n = into.t_ns.size();
      const auto tighten = [&](std::size_t i, std::size_t by) {
        const double from_it = into.value_ns[by] + rho_ * Distance(into.t_ns[i], into.t_ns[by]);
        into.value_ns[i] = std::min(into.value_ns[i], from_it);
      };
      for (std::size_t i = 1; i < n; ++i) tighten(i, i - 1);
      for (std::size_t i = n; i-- > 1;) tighten(i - 1, i);
    }
  };
  fill(upper, &Segment::upper, 1);
  fill(lower, &Segment::lower, -1);
  for (Segment& segment : by_segment_) Judge(segment);
}

// Two limits contradict each other somewhere if and only if they do at the lower one's stamp.
void FeasibleOffset::Judge(Segment& segment) {
  if (segment.upper.t_ns.empty() || segment.lower.t_ns.empty()) return;
  OffsetViolation worst;
  for (std::size_t i = 0; i < segment.lower.t_ns.size(); ++i) {
    const std::int64_t t_ns = segment.lower.t_ns[i];
    const double by_ns = -segment.lower.value_ns[i] - Lowest(segment.upper, t_ns);
    if (by_ns > worst.by_ns) worst = {t_ns, by_ns};
  }
  segment.usable = worst.by_ns <= 2.0 * static_cast<double>(kClockResolutionNs);
  if (!segment.usable) violations_.push_back(worst);
}

double FeasibleOffset::Lowest(const Side& side, std::int64_t t_ns) const {
  const auto after = static_cast<std::size_t>(
      std::upper_bound(side.t_ns.begin(), side.t_ns.end(), t_ns) - side.t_ns.begin());
  double lowest = std::numeric_limits<double>::infinity();
  const auto take = [&](std::size_t i) {
    lowest = std::min(lowest, side.value_ns[i] + rho_ * Distance(side.t_ns[i], t_ns));
  };
  if (after > 0) take(after - 1);
  if (after < side.t_ns.size()) take(after);
  return lowest;
}

std::vector<std::int64_t> FeasibleOffset::Anchors() const {
  std::vector<std::int64_t> anchors;
  for (const Segment& segment : by_segment_) {
    if (segment.usable) anchors.push_back(segment.upper.t_ns.front());
  }
  return anchors;
}

std::optional<OffsetEstimate> FeasibleOffset::At(std::int64_t t_ns) const {
  const std::optional<int> segment = segments_->Of(t_ns);
  if (!segment) return std::nullopt;
  const Segment& in = by_segment_[static_cast<std::size_t>(*segment)];
  if (!in.usable) return std::nullopt;
  const double high = Lowest(in.upper, t_ns);
  const double low = -Lowest(in.lower, t_ns);
  // Empty by less than the resolution: its middle.
  const double half = std::max(0.0, (high - low) / 2);
  return OffsetEstimate{base_ns_ + std::llround((high + low) / 2),
                        static_cast<std::int64_t>(std::ceil(half)) + kClockResolutionNs, *segment};
}

}  // namespace joulefarm
