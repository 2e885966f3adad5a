#include "agent/host/power_history.h"

#include <algorithm>
#include <utility>

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kKeptNs = 60'000'000'000;
constexpr std::int64_t kShortestSpanNs = 100'000'000;
constexpr std::int64_t kRefreshesPerSpan = 10;
constexpr std::int64_t kMeanNs = 1'000'000'000;
constexpr double kPeriodsPerMean = 3;

}  // namespace

PowerHistory::PowerHistory(v1::ChannelInfo channel)
    : channel_(std::move(channel)),
      // Of samples it says what they average over, which they are not differences of.
      span_ns_(channel_.quantity() == v1::QUANTITY_ENERGY_COUNTER_J
                   ? std::max(kShortestSpanNs, kRefreshesPerSpan * channel_.refresh_ns())
                   : kShortestSpanNs) {}

void PowerHistory::Add(std::int64_t t_ns, std::int64_t raw) {
  if (channel_.quantity() == v1::QUANTITY_ENERGY_COUNTER_J) {
    AddCounter({t_ns, raw});
  } else {
    Keep({t_ns, static_cast<double>(raw) * channel_.scale()});
  }
}

void PowerHistory::AddCounter(const Reading& reading) {
  if (!anchor_) {
    anchor_ = reading;
    return;
  }
  const std::int64_t span_ns = reading.t_ns - anchor_->t_ns;
  if (span_ns < span_ns_) return;
  std::int64_t rise = reading.raw - anchor_->raw;
  if (rise < 0 && channel_.has_wrap_raw()) rise += channel_.wrap_raw();
  // A counter that ran backward says nothing about what came before.
  if (rise >= 0) {
    Keep({anchor_->t_ns + span_ns / 2,
          static_cast<double>(rise) * channel_.scale() / (static_cast<double>(span_ns) * 1e-9)});
  }
  anchor_ = reading;
}

void PowerHistory::Keep(const PowerPoint& point) {
  points_.push_back(point);
  while (points_.front().t_ns < point.t_ns - kKeptNs) points_.pop_front();
}

std::vector<PowerPoint> PowerHistory::Since(std::int64_t from_ns) const {
  const auto first = std::find_if(points_.begin(), points_.end(),
                                  [&](const PowerPoint& point) { return point.t_ns >= from_ns; });
  return {first, points_.end()};
}

std::optional<double> PowerHistory::MeanBefore(std::int64_t now_ns) const {
  std::int64_t reach_ns = std::max(kMeanNs, 2 * span_ns_);
  if (channel_.nominal_hz() > 0) {
    reach_ns = std::max(reach_ns,
                        static_cast<std::int64_t>(kPeriodsPerMean * 1e9 / channel_.nominal_hz()));
  }
  double sum = 0;
  int count = 0;
  for (auto it = points_.rbegin(); it != points_.rend() && it->t_ns >= now_ns - reach_ns; ++it) {
    sum += it->power_w;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / count;
}

}  // namespace joulefarm::agent
