#include "common/measure/baseline.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/measure/energy_parts.h"

namespace joulefarm {
namespace {

constexpr std::int64_t kBlockNs = 1'000'000'000;

// Mean power; nullopt where the channel gives no energy or none was asked for.
std::optional<double> MeanPower(const std::optional<Interval>& interval,
                                IntegrateInterval integrate) {
  if (!interval || interval->end_ns <= interval->start_ns) return std::nullopt;
  return integrate(*interval).mean_w;
}

void AddBlocks(const Interval& interval, IntegrateInterval integrate, std::vector<double>& means) {
  for (std::int64_t start_ns = interval.start_ns; start_ns + kBlockNs <= interval.end_ns;
       start_ns += kBlockNs) {
    const std::optional<double> mean_w = integrate({start_ns, start_ns + kBlockNs}).mean_w;
    if (mean_w) means.push_back(*mean_w);
  }
}

// Standard uncertainty of the mean of independent blocks.
std::optional<double> OfMean(const std::vector<double>& values) {
  if (values.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(values.size());
  ExactSum sum;
  for (const double value : values) sum.Add(value);
  ExactSum squares;
  for (const double value : values) {
    squares.Add((value - sum.Value() / n) * (value - sum.Value() / n));
  }
  return std::sqrt(squares.Value() / (n - 1) / n);
}

}  // namespace

std::optional<Baseline> MeasureBaseline(const std::optional<Interval>& before,
                                        const std::optional<Interval>& after,
                                        IntegrateInterval integrate) {
  const std::optional<double> before_w = MeanPower(before, integrate);
  const std::optional<double> after_w = MeanPower(after, integrate);
  if (!before_w && !after_w) return std::nullopt;
  Baseline baseline;
  std::vector<double> blocks;
  if (before_w) AddBlocks(*before, integrate, blocks);
  if (after_w) AddBlocks(*after, integrate, blocks);
  baseline.blocks = static_cast<int>(blocks.size());
  baseline.u_w = OfMean(blocks);
  if (before_w && after_w) {
    // The power at the middle, if it drifts evenly from one side to the other.
    baseline.power_w = (*before_w + *after_w) / 2;
    baseline.u_w = std::max(baseline.u_w.value_or(0), std::abs(*before_w - *after_w) / 2);
  } else {
    baseline.power_w = before_w ? *before_w : *after_w;
  }
  return baseline;
}

std::optional<NetEnergy> Net(const Energy& energy, const Baseline& baseline) {
  if (!energy.energy_j) return std::nullopt;
  NetEnergy net;
  net.net_j = *energy.energy_j - energy.duration_s * baseline.power_w;
  if (!baseline.u_w) return net;
  net.baseline_u_j = energy.duration_s * *baseline.u_w;
  if (energy.energy_u_j) net.net_u_j = std::hypot(*energy.energy_u_j, *net.baseline_u_j);
  return net;
}

}  // namespace joulefarm
