#include "agent/core/back_off.h"

#include <algorithm>

#include "common/units/units.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kFirstGapNs = 10 * kNsPerSecond;
constexpr std::int64_t kLongestGapNs = 600 * kNsPerSecond;

}  // namespace

std::int64_t BackOff::NextNs(double random) {
  const std::int64_t ceiling = std::min(kMaxNs, kNsPerSecond << std::min(step_, 4));
  ++step_;
  const double span = static_cast<double>(ceiling - kMinNs);
  return kMinNs + static_cast<std::int64_t>(std::clamp(random, 0.0, 1.0) * span);
}

bool Reminder::Due(std::int64_t now_ns) {
  if (!said_) {
    said_ = true;
    gap_ns_ = kFirstGapNs;
  } else if (now_ns < next_ns_) {
    return false;
  } else {
    gap_ns_ = std::min(gap_ns_ * 2, kLongestGapNs);
  }
  next_ns_ = now_ns + gap_ns_;
  return true;
}

bool Reminder::Over() {
  const bool said = said_;
  said_ = false;
  return said;
}

}  // namespace joulefarm::agent
