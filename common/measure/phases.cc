#include "common/measure/phases.h"

#include <algorithm>

namespace joulefarm {

Partition CompletePartition(std::vector<PhaseSpan> phases, Interval attempt) {
  std::stable_sort(phases.begin(), phases.end(), [](const PhaseSpan& a, const PhaseSpan& b) {
    return a.span.start_ns < b.span.start_ns;
  });
  Partition partition;
  std::int64_t covered_ns = attempt.start_ns;
  const auto fill_up_to = [&](std::int64_t t_ns) {
    if (t_ns <= covered_ns) return;
    partition.spans.push_back({v1::PHASE_OTHER, {covered_ns, t_ns}, std::nullopt, std::nullopt, 0});
    covered_ns = t_ns;
  };
  for (PhaseSpan& phase : phases) {
    Interval& span = phase.span;
    span.start_ns =
        std::clamp(span.start_ns, attempt.start_ns, std::max(attempt.start_ns, attempt.end_ns));
    span.end_ns = std::clamp(span.end_ns, span.start_ns, std::max(span.start_ns, attempt.end_ns));
    if (span.start_ns < covered_ns) {
      partition.overlap_ns += std::min(covered_ns, span.end_ns) - span.start_ns;
      span.start_ns = std::min(covered_ns, span.end_ns);
      if (span.start_ns == span.end_ns) continue;
    }
    fill_up_to(span.start_ns);
    covered_ns = span.end_ns;
    partition.spans.push_back(phase);
  }
  fill_up_to(attempt.end_ns);
  return partition;
}

std::vector<Interval> Joined(absl::Span<const Interval> parts) {
  std::vector<Interval> sorted(parts.begin(), parts.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const Interval& a, const Interval& b) { return a.start_ns < b.start_ns; });
  std::vector<Interval> joined;
  for (const Interval& part : sorted) {
    if (part.end_ns <= part.start_ns) continue;
    if (!joined.empty() && part.start_ns <= joined.back().end_ns) {
      joined.back().end_ns = std::max(joined.back().end_ns, part.end_ns);
    } else {
      joined.push_back(part);
    }
  }
  return joined;
}

}  // namespace joulefarm
