#include "common/clock/clock_segments.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "common/units/units.h"

namespace joulefarm {
namespace {

// Four clocks are not read at one instant.
constexpr double kReadingNs = 50e3;
// As above, and nothing that sleeps wakes up sooner.
constexpr double kLeastSleepNs = 1e6;

bool Breaks(const v1::ClockSnapshot& a, const v1::ClockSnapshot& b, double rho) {
  const double boot = SpanNs(a.boottime_ns(), b.boottime_ns());
  const double monotonic = SpanNs(a.monotonic_ns(), b.monotonic_ns());
  const double raw = SpanNs(a.monotonic_raw_ns(), b.monotonic_raw_ns());
  if (std::abs(boot - monotonic) > kLeastSleepNs) return true;
  return RunsUnevenly(boot, raw, rho);
}

}  // namespace

bool RunsUnevenly(double boot_ns, double raw_ns, double rho) {
  return std::abs(boot_ns - raw_ns) > rho * std::abs(raw_ns) + kReadingNs;
}

ClockSegments::ClockSegments(std::vector<v1::ClockSnapshot> snapshots, double rho) {
  std::stable_sort(snapshots.begin(), snapshots.end(),
                   [](const auto& a, const auto& b) { return a.boottime_ns() < b.boottime_ns(); });
  for (std::size_t i = 1; i < snapshots.size(); ++i) {
    const v1::ClockSnapshot& a = snapshots[i - 1];
    const v1::ClockSnapshot& b = snapshots[i];
    if (Breaks(a, b, rho)) breaks_.push_back({a.boottime_ns(), b.boottime_ns()});
  }
}

void ClockSegments::Break(std::vector<Interval> breaks) {
  breaks.insert(breaks.end(), breaks_.begin(), breaks_.end());
  std::sort(breaks.begin(), breaks.end(),
            [](const Interval& a, const Interval& b) { return a.start_ns < b.start_ns; });
  breaks_.clear();
  for (const Interval& gap : breaks) {
    // Two that touch are two: the stamp between them is known.
    if (!breaks_.empty() && gap.start_ns < breaks_.back().end_ns) {
      breaks_.back().end_ns = std::max(breaks_.back().end_ns, gap.end_ns);
    } else {
      breaks_.push_back(gap);
    }
  }
}

std::optional<int> ClockSegments::Of(std::int64_t t_ns) const {
  // The first break that ends after the instant: inside it, or in the segment before it. A stamp
  // at either end of a break is a snapshot's own and belongs to the segment on that side.
  const auto next = std::partition_point(breaks_.begin(), breaks_.end(),
                                         [&](const Interval& gap) { return gap.end_ns <= t_ns; });
  if (next != breaks_.end() && t_ns > next->start_ns) return std::nullopt;
  return static_cast<int>(next - breaks_.begin());
}

}  // namespace joulefarm
