#include "agent/commands/live_readings.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <utility>

#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

constexpr double kPeriods = 2.5;
constexpr std::int64_t kAgainNs = 50'000'000;

// Until when the slowest is waited for of those that have said nothing; `begin_ns`: none of them.
std::int64_t WaitUntil(const Sources& sources, const LiveReadings& readings,
                       std::int64_t begin_ns) {
  std::int64_t until_ns = begin_ns;
  for (const std::unique_ptr<PowerSource>& source : sources) {
    const v1::ChannelInfo& power = source->channels()[0];
    if (!source->buffered() || readings.contains(power.name()) || !(power.nominal_hz() > 0))
      continue;
    until_ns = std::max(until_ns,
                        begin_ns + static_cast<std::int64_t>(kPeriods * 1e9 / power.nominal_hz()));
  }
  return until_ns;
}

}  // namespace

LiveTime RealTime() {
  return {BoottimeNs,
          [](std::int64_t ns) { std::this_thread::sleep_for(std::chrono::nanoseconds(ns)); }};
}

LiveReadings Look(const Sources& sources) {
  LiveReadings readings;
  for (const std::unique_ptr<PowerSource>& source : sources) {
    std::vector<PowerReading> polled;
    std::int64_t lost = 0;
    // What one channel cannot say is missing in the table.
    source->Poll(polled, lost).IgnoreError();
    std::map<int, std::pair<double, int>> sums;
    for (const PowerReading& reading : polled) {
      auto& [sum, count] = sums[reading.channel];
      sum += static_cast<double>(reading.raw);
      ++count;
      readings[source->channels()[static_cast<std::size_t>(reading.channel)].name()] = {
          reading.t_ns, source->buffered() ? std::llround(sum / count) : reading.raw};
    }
  }
  return readings;
}

LiveReadings LookFor(const Sources& sources, std::int64_t least_ns, const LiveTime& time) {
  const std::int64_t begin_ns = time.now();
  time.sleep(least_ns);
  LiveReadings readings = Look(sources);
  while (true) {
    const std::int64_t left_ns = WaitUntil(sources, readings, begin_ns) - time.now();
    if (left_ns <= 0) return readings;
    time.sleep(std::min(left_ns, kAgainNs));
    readings.merge(Look(sources));
  }
}

}  // namespace joulefarm::agent
