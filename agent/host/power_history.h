// The power of one energy channel over the last minute, whether it gives samples or counts.
//
// Threads: one at a time; the owner locks. Ownership: none.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "agent/host/live_reading.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

class PowerHistory {
 public:
  // A power or energy channel.
  explicit PowerHistory(v1::ChannelInfo channel);

  const v1::ChannelInfo& channel() const { return channel_; }

  // A reading; value = raw times the channel's scale. Stamps rise.
  void Add(std::int64_t t_ns, std::int64_t raw);

  // Points since `from_ns`, at most a minute back. Of a counter they are means over 100 ms or ten
  // refreshes, whichever is longer, stamped in the middle: between two neighbouring readings the
  // refresh would be most of what is seen.
  std::vector<PowerPoint> Since(std::int64_t from_ns) const;
  // The mean of the last second before `now_ns`, or of three periods of a slower channel; nullopt
  // where nothing came.
  std::optional<double> MeanBefore(std::int64_t now_ns) const;

 private:
  struct Reading {
    std::int64_t t_ns = 0;
    std::int64_t raw = 0;
  };
  void AddCounter(const Reading& reading);
  void Keep(const PowerPoint& point);

  const v1::ChannelInfo channel_;
  const std::int64_t span_ns_;     // of a counter's point, at least
  std::optional<Reading> anchor_;  // where the counter's next point begins
  std::deque<PowerPoint> points_;
};

}  // namespace joulefarm::agent
