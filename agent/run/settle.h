// Decides whether a device has come to rest: its power and its temperature hardly change over a
// window of time. docs/measurement.md has the criterion.
//
// Threads: one. Ownership: values. Stamps are CLOCK_BOOTTIME, ns, and only told, never read here.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "absl/types/span.h"
#include "agent/host/live_reading.h"

namespace joulefarm::agent {

struct SettleVerdict {
  bool settled = false;
  // What keeps it from being settled, most telling first; both false while the window is not full.
  bool temperature_moves = false;
  bool power_moves = false;
  std::string text;  // "power 3.2% in 30 s > 1%"; once settled how still it is
};

class SettleJudge {
 public:
  // Watching begins at `start_ns`. Power is only judged where it is measured. `gauge`: its power
  // repeats a value until it refreshes, so that only changes are readings.
  SettleJudge(std::int64_t window_ns, std::int64_t start_ns, bool judge_power, bool gauge = false);

  // In order of time; points at or before the last one are passed over, so that a caller may hand
  // in overlapping stretches.
  void AddPower(absl::Span<const PowerPoint> points);
  void AddTemperature(std::int64_t t_ns, double temp_c);

  // False: there is nothing to judge by, and waiting would tell nothing.
  bool can_judge() const { return judge_power_ || judge_temperature_; }

  SettleVerdict Judge(std::int64_t now_ns);

 private:
  struct Point {
    std::int64_t t_ns = 0;
    double value = 0;
  };
  struct Line {
    double slope_per_s = 0;
    double change = 0;  // over the window, or over the points where they reach back further
    double mean = 0;
  };
  // `last_ns`: of the last reading, also of one that is no point.
  void Forget(std::int64_t before_ns, std::int64_t last_ns, std::deque<Point>& points) const;
  // Least squares; nullopt for points too few or too close together to speak for the window.
  std::optional<Line> Fit(const std::deque<Point>& points) const;

  const std::int64_t window_ns_;
  const std::int64_t start_ns_;
  const bool judge_power_;
  bool judge_temperature_ = false;  // once there was one
  const bool gauge_;
  std::optional<Point> last_power_;
  std::deque<Point> powers_;
  std::deque<Point> temperatures_;
};

}  // namespace joulefarm::agent
