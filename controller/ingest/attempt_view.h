// What an attempt's events say, sorted by what they are about.
//
// Threads: pure function over plain values. Ownership: the view borrows the attempt's data, which
// outlives it.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/measure/phases.h"
#include "common/measure/speed.h"
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
  std::vector<const v1::TraceChunk*> chunks;  // by time
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
  std::string power_path;  // empty: not stated
};

AttemptView ViewAttempt(const AttemptData& data);

}  // namespace joulefarm::controller
