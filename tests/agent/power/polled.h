// What a look around found, read once, by name.
//
// Threads: one. Ownership: none.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "agent/power/found_power.h"

namespace joulefarm::agent {

inline std::map<std::string, v1::ChannelInfo> ChannelsOf(const FoundPower& found) {
  std::map<std::string, v1::ChannelInfo> channels;
  for (const auto& source : found.sources) {
    for (const v1::ChannelInfo& channel : source->channels()) {
      EXPECT_TRUE(channels.emplace(channel.name(), channel).second) << "twice: " << channel.name();
    }
  }
  return channels;
}

// Values in the channels' units; what has no value now is not there.
inline std::map<std::string, double> PollOnce(const FoundPower& found) {
  std::map<std::string, double> values;
  for (const auto& source : found.sources) {
    std::vector<PowerReading> readings;
    absl::Status polled;
    // A busy machine may lose readings of counters.
    for (int attempt = 0; attempt < 20; ++attempt) {
      std::int64_t lost = 0;
      readings.clear();
      polled = source->Poll(readings, lost);
      if (lost == 0) break;
    }
    for (const PowerReading& reading : readings) {
      const v1::ChannelInfo& channel =
          source->channels()[static_cast<std::size_t>(reading.channel)];
      values[channel.name()] = static_cast<double>(reading.raw) * channel.scale();
    }
    EXPECT_TRUE(polled.ok() || readings.size() < source->channels().size()) << polled;
  }
  return values;
}

}  // namespace joulefarm::agent
