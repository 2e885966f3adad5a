// What channels say now: of a sensor that is read the one reading, of a meter that samples by
// itself the mean of what it sent while one looked.
//
// Threads: one. Ownership: sources are lent for the call; they have been started.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/power/power_source.h"

namespace joulefarm::agent {

struct LiveReading {
  std::int64_t t_ns = 0;  // of the last
  std::int64_t raw = 0;
};
// By the channel's name. What one cannot say now is not there.
using LiveReadings = std::map<std::string, LiveReading>;
using Sources = std::vector<std::unique_ptr<PowerSource>>;

// The clock, and how to wait on it; tests have their own.
struct LiveTime {
  std::function<std::int64_t()> now;
  std::function<void(std::int64_t ns)> sleep;
};
LiveTime RealTime();

// What there is since the last look.
LiveReadings Look(const Sources& sources);
// What there is after `least_ns`; where a meter has said nothing by then, it is waited for, up to
// two and a half of its periods in all.
LiveReadings LookFor(const Sources& sources, std::int64_t least_ns, const LiveTime& time);

}  // namespace joulefarm::agent
