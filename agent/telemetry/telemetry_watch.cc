#include "agent/telemetry/telemetry_watch.h"

#include <algorithm>

namespace joulefarm::agent {
namespace {

// What a controller may ask for: looking must stay cheaper than what is looked at.
constexpr std::int64_t kShortestPeriodNs = 250'000'000;
constexpr std::int64_t kLongestPeriodNs = 60'000'000'000;
constexpr std::int64_t kLongestWatchNs = 600'000'000'000;

}  // namespace

void TelemetryWatch::Ask(const v1::WatchDevice& ask, std::int64_t now_ns) {
  period_ns_ = std::clamp(ask.period_ns(), kShortestPeriodNs, kLongestPeriodNs);
  const std::int64_t until_ns = now_ns + std::clamp<std::int64_t>(ask.for_ns(), 0, kLongestWatchNs);
  until_ns_ = next_ns_ ? std::max(until_ns_, until_ns) : until_ns;
  next_ns_ = std::min(next_ns_.value_or(now_ns), now_ns + period_ns_);
}

bool TelemetryWatch::TakeDue(std::int64_t now_ns) {
  if (!next_ns_ || now_ns < *next_ns_) return false;
  *next_ns_ += period_ns_;
  if (*next_ns_ <= now_ns) *next_ns_ = now_ns + period_ns_;
  if (*next_ns_ > until_ns_) next_ns_.reset();
  return true;
}

}  // namespace joulefarm::agent
