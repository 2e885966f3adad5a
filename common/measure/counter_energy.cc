// Differences of cumulative counters, with hard bounds from the readings around each edge.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/measure/energy.h"
#include "common/measure/energy_parts.h"
#include "common/text/number.h"

namespace joulefarm {
namespace {

constexpr double kMostHalfWidth = 0.05;
constexpr double kMostOfRange = 0.5;

// The counter at an instant. A reading taken at t shows the counter of an instant in [t - refresh,
// t].
struct Edge {
  double value = 0;   // between the readings around it
  double low = 0;     // the last reading not after it: the counter had at least that
  double high = 0;    // the first reading that is wholly after it: the counter had at most that
  double lowest = 0;  // the same where the clocks may differ by their bound
  double highest = 0;
  std::size_t first = 0;  // reading of lowest
  std::size_t last = 0;   // reading of highest
};

std::size_t WhollyAfter(const CounterTrace& trace, std::int64_t t_ns) {
  const std::vector<std::int64_t>& t = trace.t_ns;
  return static_cast<std::size_t>(std::lower_bound(t.begin(), t.end(), t_ns + trace.refresh_ns) -
                                  t.begin());
}

Edge EdgeAt(const CounterTrace& trace, std::int64_t t_ns) {
  const std::vector<std::int64_t>& t = trace.t_ns;
  Edge edge;
  const std::size_t before = LastNotAfter(t, t_ns);
  edge.low = trace.energy_j[before];
  edge.value = edge.low;
  if (t[before] < t_ns) {
    const double share =
        static_cast<double>(t_ns - t[before]) / static_cast<double>(t[before + 1] - t[before]);
    edge.value += share * (trace.energy_j[before + 1] - edge.low);
  }
  edge.high = trace.energy_j[WhollyAfter(trace, t_ns)];
  edge.first = LastNotAfter(t, t_ns - trace.errors.clock_bound_ns);
  edge.lowest = trace.energy_j[edge.first];
  edge.last = WhollyAfter(trace, t_ns + trace.errors.clock_bound_ns);
  edge.highest = trace.energy_j[edge.last];
  return edge;
}

// Mean powers between readings within the clock's bound and one reading around an instant.
Range PowersAround(const CounterTrace& trace, std::int64_t t_ns) {
  const std::int64_t reach = trace.errors.clock_bound_ns;
  const std::vector<std::int64_t>& t = trace.t_ns;
  const std::size_t inner = LastNotAfter(t, std::max(t.front(), t_ns - reach));
  const std::size_t outer = LastNotAfter(t, std::min(t.back(), t_ns + reach)) + 2;
  Range range;
  for (std::size_t i = inner == 0 ? 0 : inner - 1; i + 1 < t.size() && i + 1 <= outer; ++i) {
    range.Add((trace.energy_j[i + 1] - trace.energy_j[i]) /
              (static_cast<double>(t[i + 1] - t[i]) * kSecondsPerNs));
  }
  return range;
}

double ClockUncertainty(const CounterTrace& trace, absl::Span<const Interval> parts) {
  if (trace.errors.clock_bound_ns == 0) return 0;
  double steps_w = 0;
  for (const Interval& part : parts) {
    const Range begin = PowersAround(trace, part.start_ns);
    const Range end = PowersAround(trace, part.end_ns);
    // The mean powers around the edges differ by at most this, whatever the counter hides between
    // its readings.
    steps_w += begin.Width() + end.Width() + std::max(end.high - begin.low, begin.high - end.low);
  }
  return static_cast<double>(trace.errors.clock_bound_ns) * kSecondsPerNs * steps_w;
}

// False: the readings from `first` to `last` cannot be trusted to be one counter.
bool GradeReadings(const CounterTrace& trace, std::size_t first, std::size_t last, Energy& energy) {
  const auto resets =
      std::count_if(trace.resets.begin(), trace.resets.end(),
                    [&](std::size_t reset) { return reset > first && reset <= last; });
  if (resets > 0) {
    Refuse(Code::kCounterReset, absl::StrCat(resets, ">0"), energy);
    return false;
  }
  if (!trace.wrap_j || !(*trace.wrap_j > 0)) return true;
  std::int64_t longest_ns = 0;
  for (std::size_t i = first; i < last; ++i)
    longest_ns = std::max(longest_ns, trace.t_ns[i + 1] - trace.t_ns[i]);
  const double passed_j = static_cast<double>(longest_ns) * kSecondsPerNs * trace.highest_w;
  const double share = passed_j / *trace.wrap_j;
  if (share <= kMostOfRange) return true;
  Refuse(Code::kCounterPoll, absl::StrCat(Percent(share), ">", Percent(kMostOfRange)), energy);
  return false;
}

}  // namespace

Interval Covered(const CounterTrace& trace) {
  if (trace.t_ns.size() < 2) return {};
  // Outside of it there is no reading that bounds the counter.
  const std::int64_t start = trace.t_ns.front() + trace.errors.clock_bound_ns;
  const std::int64_t end = trace.t_ns.back() - trace.refresh_ns - trace.errors.clock_bound_ns;
  return {start, std::max(start, end)};
}

Energy IntegrateCounter(const CounterTrace& trace, absl::Span<const Interval> parts) {
  Energy energy;
  const std::vector<Interval> joined = Joined(parts);
  energy.duration_s = static_cast<double>(DurationNs(joined)) * kSecondsPerNs;
  if (trace.t_ns.size() < 2) {
    Refuse(Code::kNoSamples, absl::StrCat(trace.t_ns.size(), "<2"), energy);
    return energy;
  }
  if (const std::int64_t outside = UncoveredNs(joined, Covered(trace)); outside > 0) {
    Refuse(Code::kEdgeUncovered,
           absl::StrCat(SecondsText(static_cast<double>(outside) * kSecondsPerNs), ">0"), energy);
    return energy;
  }
  ExactSum value;
  ExactSum low;
  ExactSum high;
  double squares = 0;
  for (const Interval& part : joined) {
    const Edge begin = EdgeAt(trace, part.start_ns);
    const Edge end = EdgeAt(trace, part.end_ns);
    if (!GradeReadings(trace, begin.first, end.last, energy)) return energy;
    value.Add(end.value - begin.value);
    low.Add(std::max(0.0, end.lowest - begin.highest));
    high.Add(end.highest - begin.lowest);
    for (const Edge& edge : {begin, end})
      squares += (edge.high - edge.low) * (edge.high - edge.low) / 12;
  }
  energy.energy_j = value.Value();
  energy.lo_j = low.Value();
  energy.hi_j = high.Value();
  if (energy.duration_s > 0) energy.w2_s = *energy.energy_j * *energy.energy_j / energy.duration_s;
  energy.parts.counter_j = std::sqrt(squares);
  energy.parts.clock_j = ClockUncertainty(trace, joined);
  const double half_width = (*energy.hi_j - *energy.lo_j) / 2;
  if (half_width > kMostHalfWidth * *energy.energy_j) {
    const std::string share = *energy.energy_j > 0 ? Percent(half_width / *energy.energy_j)
                                                   : absl::StrCat(half_width, " J of 0 J");
    AddFinding(energy.findings, MakeFinding(Code::kCounterCoarse,
                                            absl::StrCat(share, ">", Percent(kMostHalfWidth))));
  }
  Complete(trace.errors, trace.duplicates, trace.t_ns.size(), energy);
  return energy;
}

}  // namespace joulefarm
