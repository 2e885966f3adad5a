#include "agent/run/power_step.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace joulefarm::agent {
namespace {

constexpr double kSigmas = 4;
constexpr double kLeastShare = 0.02;
constexpr double kLeastW = 0.02;
constexpr std::size_t kBlocks = kFewestPointsOfAStep;

// The mean and its standard uncertainty.
struct Mean {
  double value = 0;
  double u = 0;
};

Mean MeanOf(absl::Span<const double> values) {
  Mean mean;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) mean.value += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean.value) * (value - mean.value);
  mean.u = std::sqrt(squares / (n - 1) / n);
  return mean;
}

struct Level {
  Mean power_w;
  double t_s = 0;            // mean, since the first point of all
  double slope_w_per_s = 0;  // of the line through the points
};

Level LevelOf(absl::Span<const PowerPoint> points, std::int64_t from_ns) {
  Level level;
  const auto n = static_cast<double>(points.size());
  const auto seconds = [&](const PowerPoint& point) {
    return static_cast<double>(point.t_ns - from_ns) * 1e-9;
  };
  std::vector<double> watts;
  for (const PowerPoint& point : points) {
    watts.push_back(point.power_w);
    level.t_s += seconds(point) / n;
  }
  level.power_w = MeanOf(watts);
  double squares = 0;
  double products = 0;
  for (const PowerPoint& point : points) {
    const double t_s = seconds(point) - level.t_s;
    squares += t_s * t_s;
    products += t_s * (point.power_w - level.power_w.value);
  }
  if (squares > 0) level.slope_w_per_s = products / squares;
  // Neighbours that resemble each other are less than as many readings.
  std::array<double, kBlocks> blocks{};
  for (std::size_t i = 0; i < kBlocks; ++i) {
    const std::size_t begin = i * points.size() / kBlocks;
    const std::size_t end = (i + 1) * points.size() / kBlocks;
    blocks[i] = MeanOf(absl::MakeConstSpan(watts).subspan(begin, end - begin)).value;
  }
  level.power_w.u = std::max(level.power_w.u, MeanOf(blocks).u);
  return level;
}

}  // namespace

CutShows ShownBy(absl::string_view power_path) {
  if (power_path == "battery_bypass" || power_path == "internal") return CutShows::kRise;
  return power_path == "supply" ? CutShows::kEither : CutShows::kFall;
}

bool ShowsCut(const PowerStep& step, CutShows shows) {
  return (shows != CutShows::kRise && step.Fell()) || (shows != CutShows::kFall && step.Rose());
}

bool ShowsPowerAgain(const PowerStep& step, CutShows shows) {
  return (shows != CutShows::kRise && step.Rose()) || (shows != CutShows::kFall && step.Fell());
}

std::optional<PowerStep> StepBetween(absl::Span<const PowerPoint> before,
                                     absl::Span<const PowerPoint> after) {
  if (before.size() < kFewestPointsOfAStep || after.size() < kFewestPointsOfAStep)
    return std::nullopt;
  const std::int64_t from_ns = before.front().t_ns;
  const Level was = LevelOf(before, from_ns);
  const Level is = LevelOf(after, from_ns);
  const double drift_w = std::abs(was.slope_w_per_s * (is.t_s - was.t_s));
  PowerStep step;
  step.rise_w = is.power_w.value - was.power_w.value;
  step.limit_w = std::max({kSigmas * std::hypot(was.power_w.u, is.power_w.u) + drift_w,
                           kLeastShare * std::abs(was.power_w.value), kLeastW});
  return step;
}

}  // namespace joulefarm::agent
