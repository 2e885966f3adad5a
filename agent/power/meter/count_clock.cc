#include "agent/power/meter/count_clock.h"

#include <algorithm>
#include <cmath>

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kWindowNs = 1'000'000'000;
// Less than this is the host's lateness, not the meter's.
constexpr double kLeastStepNs = 30e6;
constexpr double kReportsToStep = 1.5;
// The kernel keeps 64 reports and drops newer ones: in a backlog as long as that, what is missing
// is missing at its end.
constexpr std::size_t kFullBacklog = 60;
// Of the loop that holds the rate: seconds until an error is gone, until a drift is learnt, and the
// largest drift that a meter is believed to have.
constexpr double kErrorS = 5;
constexpr double kDriftS = 20;
constexpr double kMostDrift = 0.05;
// That a meter may be fast by and still be used (TickFitOptions).
constexpr double kMostRate = 0.01;

}  // namespace

CountClock::CountClock(std::int64_t period_ns, std::size_t per_report)
    : nominal_ns_(period_ns), per_report_(per_report), period_ns_(static_cast<double>(period_ns)) {}

// Of the last sample of so many reports.
double CountClock::Late(std::int64_t arrived_ns, std::size_t reports) const {
  const double last_ns = next_ns_ + period_ns_ * static_cast<double>(reports * per_report_ - 1);
  return static_cast<double>(arrived_ns - *begun_ns_) - last_ns;
}

std::int64_t CountClock::Arrived(std::int64_t arrived_ns, std::size_t reports,
                                 std::size_t refused) {
  if (reports == 0) return 0;
  if (!begun_ns_) {
    begun_ns_ = arrived_ns;
    slewed_ns_ = arrived_ns;
  }
  const double report_ns = period_ns_ * static_cast<double>(per_report_);
  const double least_step_ns = std::max(kReportsToStep * report_ns, kLeastStepNs);
  double late_ns = Late(arrived_ns, reports);
  // Slewing takes back from the reference what refusals put too much, but not from the count.
  const double ahead_ns = static_cast<double>(count_ * nominal_ns_) - next_ns_;
  const double most_ahead_ns =
      kMostRate * static_cast<double>(arrived_ns - *begun_ns_) + least_step_ns;
  misses_pass_ = !target_ns_ || (late_ns > *target_ns_ - least_step_ns && ahead_ns < most_ahead_ns);
  if (!misses_pass_) {
    reports -= refused;
    if (reports == 0) return 0;
    late_ns = Late(arrived_ns, reports);
  }

  while (!least_.empty() && least_.front().arrived_ns < arrived_ns - kWindowNs &&
         least_.size() > 1) {
    least_.pop_front();
  }
  std::int64_t missing = 0;
  if (!least_.empty() && reports < kFullBacklog) {
    const double excess_ns = late_ns - static_cast<double>(least_.front().late_ns);
    if (excess_ns > least_step_ns) {
      const double gone = std::round(excess_ns / report_ns);
      next_ns_ += gone * report_ns;
      late_ns -= gone * report_ns;
      missing = static_cast<std::int64_t>(gone) * static_cast<std::int64_t>(per_report_);
      count_ += missing;
    }
  }
  // A full backlog says nothing about lateness: how much of it is a loss shows with the next one.
  if (reports < kFullBacklog) {
    const auto late = static_cast<std::int64_t>(std::llround(late_ns));
    while (!least_.empty() && least_.back().late_ns >= late) least_.pop_back();
    least_.push_back({arrived_ns, late});
    Slew(arrived_ns);
  }
  return missing;
}

void CountClock::Slew(std::int64_t arrived_ns) {
  const auto least_ns = static_cast<double>(least_.front().late_ns);
  if (!target_ns_) {
    if (arrived_ns - *begun_ns_ >= kWindowNs) target_ns_ = least_ns;
    slewed_ns_ = arrived_ns;
    return;
  }
  const double error_ns = least_ns - *target_ns_;
  const double passed_s = std::min(static_cast<double>(arrived_ns - slewed_ns_) * 1e-9, 1.0);
  slewed_ns_ = arrived_ns;
  drift_ += error_ns * 1e-9 / (kErrorS * kDriftS) * passed_s;
  drift_ = std::clamp(drift_, -kMostDrift, kMostDrift);
  const double rate = std::clamp(drift_ + error_ns * 1e-9 / kErrorS, -kMostDrift, kMostDrift);
  period_ns_ = static_cast<double>(nominal_ns_) * (1 + rate);
}

std::int64_t CountClock::Next() {
  next_ns_ += period_ns_;
  return nominal_ns_ * count_++;
}

void CountClock::Miss() {
  if (!misses_pass_) return;
  next_ns_ += period_ns_ * static_cast<double>(per_report_);
  count_ += static_cast<std::int64_t>(per_report_);
}

}  // namespace joulefarm::agent
