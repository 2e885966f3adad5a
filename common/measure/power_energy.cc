// The trapezoid over power samples, with linearly interpolated edges.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/measure/energy.h"
#include "common/measure/energy_parts.h"
#include "common/text/number.h"

namespace joulefarm {
namespace {

constexpr std::int64_t kGapPeriods = 5;
constexpr double kLeastGapCoverage = 0.99;
constexpr double kMostLoss = 0.01;
constexpr int kFewestSamples = 10;
constexpr double kMostHold = 0.05;
// Of white noise of variance s^2 neighbouring differences have 2 s^2 each and a correlation of
// -1/2; the smaller square of two has this share of that: 1 - 2/pi * sqrt(1 - 1/4). Of a step that
// stands alone it is 0.
constexpr double kNoiseShare = 0.4486712;

// What one pass over the samples of all parts finds.
struct Pass {
  ExactSum energy;     // W ns
  double squares = 0;  // W2 ns
  double steps = 0;    // (W ns)^2: a step between two samples may lie anywhere there
  double noise = 0;    // (W ns)^2: see kNoiseShare
  Range powers;        // of samples inside or next to the parts
  Range inside;        // of samples inside the parts
  std::int64_t samples = 0;
  double missing = 0;  // samples, by the stamps
  std::int64_t gap_ns = 0;
  std::int64_t edge_gap_ns = 0;  // the longest that touches an edge
};

double PowerAt(const PowerTrace& trace, std::size_t before, std::int64_t t_ns) {
  const std::int64_t from = trace.t_ns[before];
  if (t_ns == from) return trace.power_w[before];
  const double share =
      static_cast<double>(t_ns - from) / static_cast<double>(trace.t_ns[before + 1] - from);
  return trace.power_w[before] + share * (trace.power_w[before + 1] - trace.power_w[before]);
}

void AddStretch(const Stretch& stretch, Pass& pass) {
  pass.energy.Add(stretch.w_ns);
  pass.squares += stretch.w2_ns;
  pass.steps += stretch.step2_w2_ns2;
  pass.noise += stretch.noise2_w2_ns2;
  pass.powers.Add(stretch.lowest_w);
  pass.powers.Add(stretch.highest_w);
  pass.inside.Add(stretch.lowest_w);
  pass.inside.Add(stretch.highest_w);
  pass.samples += stretch.samples;
}

// The samples from `i` on as long as nothing is special about them: they and the next lie inside
// the part, nothing is missing between, and none is the first of a stretch. Returns where that
// ends. The same sums as Integrate makes, in the same order.
std::size_t IntegrateInside(const PowerTrace& trace, const Interval& part, std::size_t i,
                            std::size_t stretch, double& step2_before, Pass& pass) {
  const std::int64_t* const t = trace.t_ns.data();
  const double* const power_w = trace.power_w.data();
  const std::size_t last = std::min(trace.t_ns.size() - 1, stretch);
  std::size_t end = i;
  while (end < last && t[end + 1] <= part.end_ns && 2 * (t[end + 1] - t[end]) < 3 * trace.period_ns)
    ++end;
  if (end == i) return end;
  // One sum after the other: all at once they do not fit the processor's registers.
  ExactSum energy = pass.energy;
  double squares = pass.squares;
  for (std::size_t k = i; k < end; ++k) {
    const double span = static_cast<double>(t[k + 1] - t[k]);
    const double from_w = power_w[k];
    const double to_w = power_w[k + 1];
    energy.Add((from_w + to_w) / 2 * span);
    squares += (from_w * from_w + from_w * to_w + to_w * to_w) / 3 * span;
  }
  pass.energy = energy;
  pass.squares = squares;
  double steps = pass.steps;
  double noise = pass.noise;
  double before = step2_before;
  for (std::size_t k = i; k < end; ++k) {
    const double step = (power_w[k + 1] - power_w[k]) * static_cast<double>(t[k + 1] - t[k]);
    steps += step * step;
    noise += std::min(step * step, before);
    before = step * step;
  }
  pass.steps = steps;
  pass.noise = noise;
  step2_before = before;
  double low = power_w[i];
  double high = power_w[i];
  for (std::size_t k = i; k < end; ++k) {
    low = std::min(low, power_w[k]);
    high = std::max(high, power_w[k]);
  }
  for (Range* range : {&pass.powers, &pass.inside}) {
    range->Add(low);
    range->Add(high);
  }
  pass.powers.Add(power_w[end]);
  pass.samples += static_cast<std::int64_t>(end - i);
  return end;
}

// One joined part; both its edges lie within the trace.
void Integrate(const PowerTrace& trace, const Interval& part, Pass& pass) {
  const std::vector<std::int64_t>& t = trace.t_ns;
  std::size_t i = LastNotAfter(t, part.start_ns);
  auto stretch = std::lower_bound(trace.stretches.begin(), trace.stretches.end(), i,
                                  [](const Stretch& s, std::size_t at) { return s.first < at; });
  double step2_before = 0;
  for (; t[i] < part.end_ns; ++i) {
    if (t[i] >= part.start_ns) {
      const std::size_t next = stretch == trace.stretches.end() ? t.size() : stretch->first;
      i = IntegrateInside(trace, part, i, next, step2_before, pass);
      if (t[i] >= part.end_ns) break;
    }
    if (stretch != trace.stretches.end() && stretch->first == i) {
      AddStretch(*stretch++, pass);
      step2_before = 0;
      continue;
    }
    const std::int64_t whole = t[i + 1] - t[i];
    const std::int64_t from = std::max(t[i], part.start_ns);
    const std::int64_t to = std::min(t[i + 1], part.end_ns);
    const double span = static_cast<double>(to - from);
    const double from_w = from == t[i] ? trace.power_w[i] : PowerAt(trace, i, from);
    const double to_w = to == t[i + 1] ? trace.power_w[i + 1] : PowerAt(trace, i, to);
    pass.energy.Add((from_w + to_w) / 2 * span);
    pass.squares += (from_w * from_w + from_w * to_w + to_w * to_w) / 3 * span;
    pass.powers.Add(trace.power_w[i]);
    pass.powers.Add(trace.power_w[i + 1]);
    if (t[i] >= part.start_ns) {
      pass.inside.Add(trace.power_w[i]);
      ++pass.samples;
    }
    if (2 * whole >= 3 * trace.period_ns) {
      const std::int64_t periods = (whole + trace.period_ns / 2) / trace.period_ns;
      pass.missing += static_cast<double>(periods - 1) * span / static_cast<double>(whole);
    }
    if (whole > kGapPeriods * trace.period_ns) {
      pass.gap_ns += to - from;
      if (t[i] <= part.start_ns || t[i + 1] >= part.end_ns)
        pass.edge_gap_ns = std::max(pass.edge_gap_ns, whole);
      step2_before = 0;
    } else {
      const double step = (trace.power_w[i + 1] - trace.power_w[i]) * span;
      pass.steps += step * step;
      pass.noise += std::min(step * step, step2_before);
      step2_before = step * step;
    }
  }
}

// Lost samples the source itself counted. Where in their interval they lie is not known: each phase
// gets its share.
double KnownLosses(const PowerTrace& trace, absl::Span<const Interval> parts) {
  double lost = 0;
  for (const KnownLoss& loss : trace.losses) {
    const std::int64_t whole = loss.where.end_ns - loss.where.start_ns;
    if (whole <= 0) continue;
    for (const Interval& part : parts) {
      const std::int64_t outside = UncoveredNs({&loss.where, 1}, part);
      lost += static_cast<double>(loss.samples) * static_cast<double>(whole - outside) /
              static_cast<double>(whole);
    }
  }
  return lost;
}

// How much the power differs within `reach` and one sample around an instant.
Range PowersAround(const PowerTrace& trace, std::int64_t t_ns, std::int64_t reach) {
  const std::vector<std::int64_t>& t = trace.t_ns;
  const std::size_t first = LastNotAfter(t, std::max(t.front(), t_ns - reach));
  const std::size_t last =
      std::min(t.size() - 1, LastNotAfter(t, std::min(t.back(), t_ns + reach)) + 1);
  Range range;
  for (std::size_t i = first; i <= last; ++i) range.Add(trace.power_w[i]);
  return range;
}

double ClockUncertainty(const PowerTrace& trace, absl::Span<const Interval> parts) {
  if (trace.errors.clock_bound_ns == 0) return 0;
  double steps_w = 0;
  for (const Interval& part : parts) {
    const double begin_w = PowerAt(trace, LastNotAfter(trace.t_ns, part.start_ns), part.start_ns);
    const double end_w = PowerAt(trace, LastNotAfter(trace.t_ns, part.end_ns), part.end_ns);
    const std::int64_t bound_ns = trace.errors.clock_bound_ns;
    steps_w += PowersAround(trace, part.start_ns, bound_ns).Width() +
               PowersAround(trace, part.end_ns, bound_ns).Width();
    steps_w += std::abs(end_w - begin_w);
  }
  return static_cast<double>(trace.errors.clock_bound_ns) * kSecondsPerNs * steps_w;
}

// What a rate that is off does to power that is not even: E less that of the mean power, which
// edges alone decide.
double DriftUncertainty(const SourceErrors& errors, const Energy& energy) {
  if (errors.clock_rate == 0 || energy.duration_s <= 0) return 0;
  const double mean_w = *energy.energy_j / energy.duration_s;
  const double variance = energy.w2_s.value_or(0) / energy.duration_s - mean_w * mean_w;
  return errors.clock_rate * energy.duration_s * std::sqrt(std::max(0.0, variance));
}

// What late samples move over the edges.
double HoldUncertainty(const PowerTrace& trace, absl::Span<const Interval> parts) {
  if (trace.hold_ns == 0) return 0;
  double steps_w = 0;
  for (const Interval& part : parts) {
    steps_w += PowersAround(trace, part.start_ns, trace.hold_ns).Width() +
               PowersAround(trace, part.end_ns, trace.hold_ns).Width();
  }
  return static_cast<double>(trace.hold_ns) * kSecondsPerNs * steps_w;
}

// False: the samples are too late for parts as short as these.
bool GradeHold(double hold_j, double energy_j, Energy& energy) {
  if (hold_j <= kMostHold * std::abs(energy_j)) return true;
  Refuse(Code::kSmoothing,
         absl::StrCat(energy_j != 0 ? Percent(hold_j / std::abs(energy_j))
                                    : absl::StrFormat("%.3g J of 0 J", hold_j),
                      ">", Percent(kMostHold)),
         energy);
  return false;
}

void GradeLoss(const PowerTrace& trace, absl::Span<const Interval> parts, const Pass& pass,
               Energy& energy) {
  const double expected =
      static_cast<double>(DurationNs(parts)) / static_cast<double>(trace.period_ns);
  const double lost = std::max(pass.missing, KnownLosses(trace, parts));
  const double share = std::min(1.0, lost / expected);
  if (share > kMostLoss) {
    AddFinding(energy.findings,
               MakeFinding(Code::kLoss, absl::StrCat(Percent(share), ">", Percent(kMostLoss))));
  }
  if (pass.samples < kFewestSamples) {
    AddFinding(energy.findings,
               MakeFinding(Code::kFewSamples, absl::StrCat(pass.samples, "<", kFewestSamples)));
  }
}

// False: gaps forbid a value.
bool GradeGaps(const PowerTrace& trace, absl::Span<const Interval> parts, const Pass& pass,
               Energy& energy) {
  if (pass.gap_ns == 0) return true;
  if (pass.edge_gap_ns > 0) {
    const double periods =
        static_cast<double>(pass.edge_gap_ns) / static_cast<double>(trace.period_ns);
    Refuse(Code::kGapAtEdge, absl::StrFormat("%.3g>%d", periods, kGapPeriods), energy);
  }
  const double share = static_cast<double>(pass.gap_ns) / static_cast<double>(DurationNs(parts));
  if (1 - share < kLeastGapCoverage) {
    Refuse(Code::kGapCoverage, absl::StrCat(Percent(1 - share), "<", Percent(kLeastGapCoverage)),
           energy);
  }
  if (!energy.findings.empty() && Worst(energy.findings) == v1::QUALITY_INVALID) return false;
  AddFinding(energy.findings, MakeFinding(Code::kGapFilled, absl::StrCat(Percent(share), ">0")));
  // Truth and fill both lie in the range: however they do, their difference is rarely more than
  // three of these.
  energy.parts.gap_j =
      static_cast<double>(pass.gap_ns) * kSecondsPerNs * pass.powers.Width() / std::sqrt(3.0);
  return true;
}

}  // namespace

Interval Covered(const PowerTrace& trace) {
  if (trace.t_ns.size() < 2) return {};
  return {trace.t_ns.front(), trace.t_ns.back()};
}

Energy IntegratePower(const PowerTrace& trace, absl::Span<const Interval> parts, double beside_j) {
  Energy energy;
  const std::vector<Interval> joined = Joined(parts);
  energy.duration_s = static_cast<double>(DurationNs(joined)) * kSecondsPerNs;
  if (trace.t_ns.size() < 2 || trace.period_ns <= 0) {
    Refuse(Code::kNoSamples, absl::StrCat(trace.t_ns.size(), "<2"), energy);
    return energy;
  }
  if (const std::int64_t outside = UncoveredNs(joined, Covered(trace)); outside > 0) {
    Refuse(Code::kEdgeUncovered,
           absl::StrCat(SecondsText(static_cast<double>(outside) * kSecondsPerNs), ">0"), energy);
    return energy;
  }
  if (trace.never_refreshed) {
    Refuse(Code::kSmoothing, "0 changes<1", energy);
    return energy;
  }
  Pass pass;
  for (const Interval& part : joined) Integrate(trace, part, pass);
  if (!joined.empty()) {
    if (!GradeGaps(trace, joined, pass, energy)) return energy;
    GradeLoss(trace, joined, pass, energy);
  }
  const double energy_j = pass.energy.Value() * kSecondsPerNs;
  const double hold_j = HoldUncertainty(trace, joined);
  if (!GradeHold(hold_j, energy_j + beside_j, energy)) return energy;
  energy.energy_j = energy_j;
  energy.parts.clock_j = ClockUncertainty(trace, joined);
  energy.parts.counter_j = std::hypot(
      std::sqrt(pass.steps / 12 + pass.noise / (2 * kNoiseShare)) * kSecondsPerNs, hold_j);
  energy.w2_s = pass.squares * kSecondsPerNs;
  *energy.parts.clock_j += DriftUncertainty(trace.errors, energy);
  if (!pass.inside.empty) energy.peak_w = pass.inside.high;
  energy.parts.offset_unknown = !trace.errors.offset_u_w;
  Complete(trace.errors, trace.duplicates,
           trace.t_ns.size() + static_cast<std::size_t>(trace.samples_elsewhere), energy);
  return energy;
}

}  // namespace joulefarm
