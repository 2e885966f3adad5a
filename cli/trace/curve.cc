#include "cli/trace/curve.h"

#include <algorithm>
#include <cmath>

namespace joulefarm::cli {
namespace {

constexpr std::int64_t kPeriodsOfAGap = 5;
// A bin of a counter that is covered less says nothing about its time.
constexpr double kLeastCovered = 0.5;

}  // namespace

bool Curve::IsEnvelope() const {
  return std::any_of(bins.begin(), bins.end(), [](const CurveBin& bin) { return bin.n > 2; });
}

std::optional<double> Curve::Lowest() const {
  std::optional<double> lowest;
  for (const CurveBin& bin : bins) {
    if (bin.n > 0) lowest = std::min(lowest.value_or(bin.min), bin.min);
  }
  return lowest;
}

std::optional<double> Curve::Highest() const {
  std::optional<double> highest;
  for (const CurveBin& bin : bins) {
    if (bin.n > 0) highest = std::max(highest.value_or(bin.max), bin.max);
  }
  return highest;
}

int SensibleBins(int most, std::int64_t span_ns, std::int64_t period_ns, std::int64_t refresh_ns,
                 bool counter) {
  const std::int64_t least_ns = 2 * std::max(period_ns, refresh_ns);
  if (!counter || least_ns <= 0) return std::max(1, most);
  return static_cast<int>(
      std::clamp<std::int64_t>(span_ns / least_ns, 1, std::max<std::int64_t>(1, most)));
}

CurveBuilder::CurveBuilder(const CurveOptions& options) : options_(options) {
  options_.to_ns = std::max(options_.to_ns, options_.from_ns + 1);
  options_.bins = std::max(1, options_.bins);
  curve_.from_ns = options_.from_ns;
  curve_.to_ns = options_.to_ns;
  curve_.bins.resize(static_cast<std::size_t>(options_.bins));
  if (options_.counter) rates_.resize(curve_.bins.size());
}

void CurveBuilder::Add(std::int64_t t_ns, double value) {
  if (!std::isfinite(value)) return;
  if (t_ns >= options_.from_ns && t_ns <= options_.to_ns) ++curve_.samples;
  if (options_.counter) {
    AddStep(t_ns, value);
  } else {
    AddSample(t_ns, value);
  }
  last_ns_ = t_ns;
  last_ = value;
}

void CurveBuilder::AddSample(std::int64_t t_ns, double value) {
  if (t_ns < options_.from_ns || t_ns > options_.to_ns) return;
  const auto at = std::min(
      curve_.bins.size() - 1,
      static_cast<std::size_t>(static_cast<double>(t_ns - options_.from_ns) / curve_.BinNs()));
  CurveBin& bin = curve_.bins[at];
  const bool gap =
      last_ns_ && options_.period_ns > 0 && t_ns - *last_ns_ > kPeriodsOfAGap * options_.period_ns;
  if (bin.n == 0) {
    bin.gap_before = gap;
    bin.min = bin.max = value;
  }
  bin.min = std::min(bin.min, value);
  bin.max = std::max(bin.max, value);
  ++bin.n;
  bin.mean += (value - bin.mean) / static_cast<double>(bin.n);
}

void CurveBuilder::AddStep(std::int64_t t_ns, double value) {
  if (!last_ns_ || t_ns <= *last_ns_) return;
  double amount = value - last_;
  if (amount < 0 && options_.wrap) amount += *options_.wrap;
  // Something else than a wrap set it back: nobody knows what it counted.
  if (amount < 0) return;
  const double per_ns = amount / static_cast<double>(t_ns - *last_ns_);
  const double bin_ns = curve_.BinNs();
  // Spread evenly over the bins between the two readings.
  double from = static_cast<double>(std::max(*last_ns_, options_.from_ns) - options_.from_ns);
  const double to = static_cast<double>(std::min(t_ns, options_.to_ns) - options_.from_ns);
  auto at = static_cast<std::size_t>(std::max(0.0, from / bin_ns));
  for (; at < rates_.size() && from < to; ++at) {
    const double end = std::min(to, bin_ns * static_cast<double>(at + 1));
    if (end <= from) continue;
    rates_[at].amount += per_ns * (end - from);
    rates_[at].covered_ns += end - from;
    from = end;
  }
}

Curve CurveBuilder::Finish() {
  for (std::size_t i = 0; i < rates_.size(); ++i) {
    if (rates_[i].covered_ns < kLeastCovered * curve_.BinNs()) continue;
    const double rate = rates_[i].amount / rates_[i].covered_ns * 1e9;
    curve_.bins[i] = {1, rate, rate, rate, i > 0 && curve_.bins[i - 1].n == 0};
  }
  return std::move(curve_);
}

}  // namespace joulefarm::cli
