// What an attempt's events say, sorted by what they are about.
//
// Threads: pure function over plain values. Ownership: the view borrows the attempt's data, which
// outlives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/clock/clock_parts.h"
#include "common/measure/grade.h"
#include "common/measure/phases.h"
#include "common/measure/speed.h"
#include "common/trace/even_time.h"
#include "controller/store/store.h"

namespace joulefarm::controller {

// A run that came to its end.
struct RunView {
  v1::RunDone done;
  std::vector<RequestTrace> requests;  // in order
  // Where it ran: its span, or its tests where the engine ran those of other runs between them.
  std::vector<Interval> parts;
  Interval span() const { return {done.start_ns(), done.end_ns()}; }
};

// One channel with what was recorded of it.
struct ChannelView {
  v1::ChannelInfo info;
  int source = 0;
  std::vector<const AttemptData::Chunk*> chunks;  // by time
  // Of each chunk, from its stamps as recorded to the clock of the phases; empty: they are the same
  // clock.
  std::vector<EvenTime> times;
  // What that may be off by at most.
  std::int64_t clock_bound_ns = 0;
  // Between two instants it drifts by at most this share of the time.
  double clock_rate = 0;
  // The parts of that and of the stamps themselves.
  ClockParts clock;
  bool clock_unknown = false;  // nothing tells when its samples were: they are left out
  std::vector<Finding> findings;

  bool on_other_clock() const { return !times.empty(); }
  // On the clock of the phases: any stamp, and one of the chunk at `index`.
  std::int64_t ToPhases(std::int64_t stamp_ns) const;
  std::int64_t ToPhases(std::size_t index, std::int64_t stamp_ns) const;
};

// The host slept between two clock snapshots.
struct Suspend {
  Interval between;
  std::int64_t slept_ns = 0;
};

// Processors were slowed down because they were hot.
struct Throttle {
  Interval between;
  std::int64_t times = 0;  // rises of counters; 0: known by a state only
  std::int64_t state = 0;
};

struct AttemptView {
  Partition partition;
  Interval span;                // of the attempt
  std::map<int, RunView> runs;  // by number
  std::vector<ChannelView> channels;
  std::vector<Suspend> suspends;
  std::vector<Throttle> throttles;
  std::vector<v1::Reason> reasons;
  std::vector<std::string> shortened;
  std::string power_path;                         // empty: not stated
  std::map<std::string, v1::MeterRecord> meters;  // by resource id
};

AttemptView ViewAttempt(const AttemptData& data);

}  // namespace joulefarm::controller
