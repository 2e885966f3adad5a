// Brings what was stamped by other clocks than that of the device's host to that one: meters' own
// clocks, and those of other hosts.
//
// Threads: one. Ownership: the attempt's data outlives it; channels keep what they need.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/clock/host_join.h"
#include "common/clock/tick_fit.h"
#include "controller/ingest/attempt_view.h"

namespace joulefarm::controller {

class SourceClocks {
 public:
  explicit SourceClocks(const AttemptData& data);
  ~SourceClocks();

  // Fills in the channel's times, clock_bound_ns and clock parts. Chunks whose time nothing
  // bounds are taken out of it, with findings that say why: what is left can be trusted to the
  // bound.
  void Align(ChannelView& channel);

 private:
  struct Place;  // of a stamp, on the clock of the device's host
  struct Source {
    HostClock clock;
    std::map<std::string, std::vector<TickPair>> ticks;  // by clock
  };

  void Take(int source, const v1::Event& event);
  const HostOffsets& OffsetsOf(int source);
  const TickFit& FitOf(int source, const std::string& clock);
  // `fit`: of the channel's clock; null: its stamps are the host's.
  bool Find(const ChannelView& channel, const TickFit* fit, std::int64_t stamp_ns, Place& place);
  bool Contradicts(ChannelView& channel);
  std::string WhatIsMissing(const ChannelView& channel);

  std::map<int, Source> sources_;
  std::map<int, HostOffsets> offsets_;
  std::map<std::pair<int, std::string>, TickFit> fits_;
};

}  // namespace joulefarm::controller
