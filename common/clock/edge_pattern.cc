#include "common/clock/edge_pattern.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace joulefarm {
namespace {

constexpr double kLeastCorrelation = 0.7;
constexpr int kFewestPerBusy = 4;
constexpr double kCover = 3;  // standard uncertainties within which stamps agree

absl::Status Cannot(absl::string_view why) { return absl::FailedPreconditionError(why); }

// Power as a broken line, and its integral from the first sample.
class Line {
 public:
  Line(absl::Span<const std::int64_t> t_ns, absl::Span<const double> power_w)
      : t_ns_(t_ns), power_w_(power_w), sum_(t_ns.size(), 0) {
    for (std::size_t i = 1; i < t_ns.size(); ++i) {
      sum_[i] = sum_[i - 1] +
                (power_w[i] + power_w[i - 1]) / 2 * static_cast<double>(t_ns[i] - t_ns[i - 1]);
    }
  }
  std::size_t Before(std::int64_t t_ns) const {
    const auto after = std::upper_bound(t_ns_.begin(), t_ns_.end(), t_ns);
    const auto index = static_cast<std::size_t>(after - t_ns_.begin());
    return std::clamp<std::size_t>(index, 1, t_ns_.size() - 1) - 1;
  }
  double At(std::int64_t t_ns) const {
    const std::size_t i = Before(t_ns);
    const double share =
        static_cast<double>(t_ns - t_ns_[i]) / static_cast<double>(t_ns_[i + 1] - t_ns_[i]);
    return power_w_[i] + share * (power_w_[i + 1] - power_w_[i]);
  }
  // W ns between two instants.
  double Between(std::int64_t from_ns, std::int64_t to_ns) const {
    return Until(to_ns) - Until(from_ns);
  }

 private:
  double Until(std::int64_t t_ns) const {
    const std::size_t i = Before(t_ns);
    return sum_[i] + (power_w_[i] + At(t_ns)) / 2 * static_cast<double>(t_ns - t_ns_[i]);
  }
  absl::Span<const std::int64_t> t_ns_;
  absl::Span<const double> power_w_;
  std::vector<double> sum_;
};

struct Means {
  double busy_w = 0;
  double idle_w = 0;
};

// Of the pattern moved by a latency.
Means MeansAt(const Line& line, absl::Span<const Interval> busy, const Interval& all,
              std::int64_t latency_ns) {
  double energy = 0;
  double time = 0;
  for (const Interval& one : busy) {
    energy += line.Between(one.start_ns + latency_ns, one.end_ns + latency_ns);
    time += static_cast<double>(one.end_ns - one.start_ns);
  }
  const double whole = line.Between(all.start_ns + latency_ns, all.end_ns + latency_ns);
  const double rest = static_cast<double>(all.end_ns - all.start_ns) - time;
  return {energy / time, (whole - energy) / rest};
}

// When the power goes through the middle next to an edge.
std::optional<double> Crossing(absl::Span<const std::int64_t> t_ns,
                               absl::Span<const double> power_w, double level_w, bool rising,
                               std::int64_t around_ns, std::int64_t reach_ns) {
  std::optional<double> nearest;
  auto from = std::lower_bound(t_ns.begin(), t_ns.end(), around_ns - reach_ns);
  for (auto i = static_cast<std::size_t>(from - t_ns.begin());
       i + 1 < t_ns.size() && t_ns[i] <= around_ns + reach_ns; ++i) {
    const double before = rising ? power_w[i] - level_w : level_w - power_w[i];
    const double after = rising ? power_w[i + 1] - level_w : level_w - power_w[i + 1];
    if (before >= 0 || after < 0) continue;
    const double at = static_cast<double>(t_ns[i] - around_ns) +
                      before / (before - after) * static_cast<double>(t_ns[i + 1] - t_ns[i]);
    if (!nearest || std::abs(at) < std::abs(*nearest)) nearest = at;
  }
  return nearest;
}

}  // namespace

absl::StatusOr<PatternFit> FitPattern(absl::Span<const std::int64_t> t_ns,
                                      absl::Span<const double> power_w,
                                      absl::Span<const Interval> busy,
                                      std::int64_t most_latency_ns) {
  if (busy.empty() || t_ns.size() != power_w.size()) return Cannot("there is no pattern");
  const std::int64_t length_ns = busy.front().end_ns - busy.front().start_ns;
  const std::int64_t pad_ns = length_ns / 2;
  const Interval all{busy.front().start_ns - pad_ns, busy.back().end_ns + pad_ns};
  if (t_ns.size() < 2 || t_ns.front() > all.start_ns - most_latency_ns ||
      t_ns.back() < all.end_ns + most_latency_ns) {
    return Cannot("the samples do not reach far enough around the pattern");
  }
  const std::int64_t period_ns =
      (t_ns.back() - t_ns.front()) / static_cast<std::int64_t>(t_ns.size() - 1);
  if (length_ns < kFewestPerBusy * period_ns) {
    return Cannot(absl::StrFormat("a sample every %.3g ms is too few for busy times of %.3g ms",
                                  static_cast<double>(period_ns) * 1e-6,
                                  static_cast<double>(length_ns) * 1e-6));
  }
  const Line line(t_ns, power_w);
  // The latency for which the pattern correlates best: the variance of the power does not change
  // with it by much, so the highest difference of the means.
  std::int64_t best_ns = 0;
  double best_step = -1;
  const std::int64_t step_ns = std::max<std::int64_t>(period_ns / 4, 10'000);
  for (std::int64_t latency = -most_latency_ns; latency <= most_latency_ns; latency += step_ns) {
    const Means means = MeansAt(line, busy, all, latency);
    if (means.busy_w - means.idle_w <= best_step) continue;
    best_step = means.busy_w - means.idle_w;
    best_ns = latency;
  }
  PatternFit fit;
  const Means means = MeansAt(line, busy, all, best_ns);
  fit.step_w = means.busy_w - means.idle_w;
  double n = 0;
  double sum_pp = 0;
  double sum_p = 0;
  double sum_q = 0;
  double sum_pq = 0;
  for (std::size_t i = 0; i < t_ns.size(); ++i) {
    const std::int64_t at = t_ns[i] - best_ns;
    if (at < all.start_ns || at > all.end_ns) continue;
    const bool is_busy = std::any_of(busy.begin(), busy.end(), [&](const Interval& one) {
      return at >= one.start_ns && at < one.end_ns;
    });
    n += 1;
    sum_p += power_w[i];
    sum_pp += power_w[i] * power_w[i];
    sum_q += is_busy ? 1 : 0;
    sum_pq += is_busy ? power_w[i] : 0;
  }
  const double spread = (n * sum_pp - sum_p * sum_p) * (n * sum_q - sum_q * sum_q);
  fit.correlation = spread > 0 ? (n * sum_pq - sum_p * sum_q) / std::sqrt(spread) : 0;
  if (!(fit.correlation >= kLeastCorrelation)) {
    return Cannot(absl::StrFormat("the load does not show in the power: correlation %.2f<%.2g",
                                  fit.correlation, kLeastCorrelation));
  }
  if (std::abs(best_ns) + step_ns > most_latency_ns) {
    return Cannot(absl::StrCat("the latency is beyond ", most_latency_ns / 1'000'000, " ms"));
  }
  // Each edge tells it once more, and how well they agree tells how well it is known.
  const double level = (means.busy_w + means.idle_w) / 2;
  std::vector<double> edges;
  for (const Interval& one : busy) {
    for (const bool rising : {true, false}) {
      const std::int64_t edge_ns = (rising ? one.start_ns : one.end_ns) + best_ns;
      if (const auto at = Crossing(t_ns, power_w, level, rising, edge_ns, pad_ns))
        edges.push_back(static_cast<double>(best_ns) + *at);
    }
  }
  if (edges.size() < 2 * busy.size()) {
    return Cannot(absl::StrCat("only ", edges.size(), " of ", 2 * busy.size(),
                               " edges of the load show in the power"));
  }
  const double count = static_cast<double>(edges.size());
  for (const double edge : edges) fit.latency_ns += edge / count;
  double squares = 0;
  for (const double edge : edges)
    squares += (edge - fit.latency_ns) * (edge - fit.latency_ns) / (count - 1);
  // A step lies anywhere between two samples, and at the same place of all edges where the period
  // divides the pattern.
  const double between = static_cast<double>(period_ns) * static_cast<double>(period_ns) / 12;
  fit.u_ns = std::sqrt(squares / count + between);
  return fit;
}

std::string CheckAlignment(const PatternFit& fit, std::int64_t latency_ns, std::int64_t bound_ns) {
  const double off = std::abs(fit.latency_ns - static_cast<double>(latency_ns));
  const double limit = static_cast<double>(bound_ns) + kCover * fit.u_ns;
  if (off <= limit) return "";
  return absl::StrFormat("%.3g ms>%.3g ms", off * 1e-6, limit * 1e-6);
}

}  // namespace joulefarm
