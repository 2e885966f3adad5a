// What the channels of the host say of runs: temperature, memory, background load, throttling.
//
// Threads: pure functions. Ownership: values; views are borrowed for the call.
#pragma once

#include <vector>

#include "common/measure/grade.h"
#include "controller/core/results.h"
#include "controller/ingest/attempt_view.h"

namespace joulefarm::controller {

inline constexpr double kBytesPerMiB = 1 << 20;

// Where the counters of the channels `throttle.*` rose and the states of `cooling.*` were not 0.
// Empty as well where there are no such channels.
std::vector<Throttle> FindThrottles(const std::vector<ChannelView>& channels);

// Adds the finding `throttled` where the interval is touched by a throttle.
void AddThrottles(const std::vector<Throttle>& throttles, const Interval& interval,
                  v1::Domain domain, std::vector<Finding>& findings);

// Others used the machine while the engine ran. Not judged of a server on this host that ran before
// the attempt: nothing tells it from others.
void AddBackground(const v1::JobSpec& spec, const AttemptView& view, const Interval& run,
                   std::vector<Finding>& findings);

// Highest temperature and memory of each run. Where a run was too short for a zone's sample, those
// of up to a sample period before and after it stand for it.
void FillHost(const AttemptView& view, std::vector<RunResult>& results);

}  // namespace joulefarm::controller
