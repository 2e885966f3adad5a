#include "common/trace/trace_summary.h"

#include <algorithm>

namespace joulefarm {

std::optional<TraceSummary> Summarise(absl::Span<const std::int64_t> t_ns,
                                      absl::Span<const std::int64_t> raw) {
  if (t_ns.empty() || t_ns.size() != raw.size()) return std::nullopt;
  TraceSummary summary{raw.front(), raw.back(), raw.front(), raw.front()};
  double before = static_cast<double>(raw.front());
  double step2_before = 0;
  for (std::size_t i = 1; i < t_ns.size(); ++i) {
    if (t_ns[i] <= t_ns[i - 1]) return std::nullopt;
    // Stamps of damaged data may lie farther apart than an interval can say.
    const auto interval_ns = static_cast<std::int64_t>(static_cast<std::uint64_t>(t_ns[i]) -
                                                       static_cast<std::uint64_t>(t_ns[i - 1]));
    if (interval_ns < 0) return std::nullopt;
    const auto width = static_cast<double>(interval_ns);
    const auto value = static_cast<double>(raw[i]);
    const double step = (value - before) * width;
    summary.longest_ns = std::max(summary.longest_ns, interval_ns);
    summary.lowest_raw = std::min(summary.lowest_raw, raw[i]);
    summary.highest_raw = std::max(summary.highest_raw, raw[i]);
    summary.raw_ns += (before + value) / 2 * width;
    summary.raw2_ns += (before * before + before * value + value * value) / 3 * width;
    const double step2 = step * step;
    summary.step2_ns2 += step2;
    summary.noise2_ns2 += std::min(step2, step2_before);
    step2_before = step2;
    before = value;
  }
  return summary;
}

}  // namespace joulefarm
