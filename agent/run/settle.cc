#include "agent/run/settle.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/text/number.h"
#include "common/units/units.h"

namespace joulefarm::agent {
namespace {

// Of the mean power, over the window.
constexpr double kMostPowerShare = 0.01;
constexpr double kMostDegreesPerMinute = 0.5;
// Readings need not begin and end with the window, but must speak for most of it.
constexpr double kLeastSpan = 0.8;
constexpr std::size_t kFewestPoints = 5;

std::string WindowSeconds(std::int64_t ns) {
  return SecondsText(static_cast<double>(ns) * kSecondsPerNs);
}

// As two decimals show it, without the sign of what rounds to nothing.
double Shown(double value) { return std::round(value * 100) / 100 + 0.0; }

}  // namespace

SettleJudge::SettleJudge(std::int64_t window_ns, std::int64_t start_ns, bool judge_power,
                         bool gauge)
    : window_ns_(window_ns), start_ns_(start_ns), judge_power_(judge_power), gauge_(gauge) {}

void SettleJudge::AddPower(absl::Span<const PowerPoint> points) {
  for (const PowerPoint& point : points) {
    if (last_power_ && point.t_ns <= last_power_->t_ns) continue;
    // How old the first value of a gauge is cannot be told.
    const bool counts = !gauge_ || (last_power_ && point.power_w != last_power_->value);
    last_power_ = {point.t_ns, point.power_w};
    if (counts) powers_.push_back(*last_power_);
  }
}

void SettleJudge::AddTemperature(std::int64_t t_ns, double temp_c) {
  if (!temperatures_.empty() && t_ns <= temperatures_.back().t_ns) return;
  judge_temperature_ = true;
  temperatures_.push_back({t_ns, temp_c});
}

void SettleJudge::Forget(std::int64_t before_ns, std::int64_t last_ns,
                         std::deque<Point>& points) const {
  if (last_ns < before_ns) points.clear();
  // Of a slow gauge a few points reach back further than a short window.
  while (points.size() > kFewestPoints && points.front().t_ns < before_ns) points.pop_front();
}

std::optional<SettleJudge::Line> SettleJudge::Fit(const std::deque<Point>& points) const {
  if (points.size() < kFewestPoints) return std::nullopt;
  const auto span_ns = static_cast<double>(points.back().t_ns - points.front().t_ns);
  if (span_ns < kLeastSpan * static_cast<double>(window_ns_)) return std::nullopt;
  const auto n = static_cast<double>(points.size());
  // From the first point on: stamps themselves are too large to be squared.
  const std::int64_t origin_ns = points.front().t_ns;
  double t_mean = 0;
  Line line;
  for (const Point& point : points) {
    t_mean += static_cast<double>(point.t_ns - origin_ns) * kSecondsPerNs / n;
    line.mean += point.value / n;
  }
  double across = 0;
  double along = 0;
  for (const Point& point : points) {
    const double t = static_cast<double>(point.t_ns - origin_ns) * kSecondsPerNs - t_mean;
    across += t * (point.value - line.mean);
    along += t * t;
  }
  line.slope_per_s = across / along;
  line.change =
      line.slope_per_s * std::max(span_ns, static_cast<double>(window_ns_)) * kSecondsPerNs;
  return line;
}

SettleVerdict SettleJudge::Judge(std::int64_t now_ns) {
  const std::int64_t before_ns = now_ns - window_ns_;
  if (last_power_) Forget(before_ns, last_power_->t_ns, powers_);
  if (!temperatures_.empty()) Forget(before_ns, temperatures_.back().t_ns, temperatures_);
  SettleVerdict verdict;
  if (now_ns - start_ns_ < window_ns_) {
    verdict.text = absl::StrCat("watched for ", WindowSeconds(now_ns - start_ns_), " of ",
                                WindowSeconds(window_ns_));
    return verdict;
  }
  std::vector<std::string> texts;
  if (judge_temperature_) {
    if (const std::optional<Line> line = Fit(temperatures_)) {
      const double per_minute = line->slope_per_s * 60;
      verdict.temperature_moves = std::abs(per_minute) > kMostDegreesPerMinute;
      texts.push_back(absl::StrFormat("temperature %+.2f °C/min %s %.1f", Shown(per_minute),
                                      verdict.temperature_moves ? ">" : "within",
                                      kMostDegreesPerMinute));
    } else {
      verdict.temperature_moves = true;
      texts.push_back(absl::StrCat("too few temperatures in ", WindowSeconds(window_ns_)));
    }
  }
  if (judge_power_) {
    if (const std::optional<Line> line = Fit(powers_)) {
      verdict.power_moves = std::abs(line->change) > kMostPowerShare * std::abs(line->mean);
      // Without a mean any change is too much, and there is no share of it to show.
      const double share = line->mean == 0 ? 0 : line->change / std::abs(line->mean);
      texts.push_back(absl::StrFormat("power %+.2f %% in %s %s %.0f %%", Shown(share * 100),
                                      WindowSeconds(window_ns_),
                                      verdict.power_moves ? ">" : "within", kMostPowerShare * 100));
    } else {
      verdict.power_moves = true;
      texts.push_back(gauge_ && powers_.size() < kFewestPoints
                          ? absl::StrCat("the gauge has refreshed ", powers_.size(), " times of ",
                                         kFewestPoints)
                          : absl::StrCat("too few power readings in ", WindowSeconds(window_ns_)));
    }
  }
  verdict.settled = !verdict.temperature_moves && !verdict.power_moves && can_judge();
  verdict.text = absl::StrJoin(texts, ", ");
  return verdict;
}

}  // namespace joulefarm::agent
