// The energies of an attempt: one row per channel and run, request or phase.
//
// Threads: pure functions. Ownership: values; the view is borrowed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/measure/grade.h"
#include "controller/core/results.h"
#include "controller/ingest/attempt_view.h"
#include "controller/ingest/channel_trace.h"

namespace joulefarm::controller {

// A row with its reasons still in parts.
struct EnergyRow {
  EnergyResult result;
  std::vector<Finding> findings;
  bool primary = false;
};

bool IsEnergy(const v1::ChannelInfo& info);

// The one channel that results are reported from, if there is one.
const ChannelView* PrimaryChannel(const AttemptView& view);

// Of one energy channel, in this order: the attempt, its phases outside runs, then per run: the
// run, its phases summed over requests, and each request's.
std::vector<EnergyRow> EnergyRows(const AttemptView& view, const ChannelView& channel,
                                  Summaries summaries);

// Reasons of a domain that are the whole attempt's or this run's: the agent's, a host that slept,
// and for energy a plan that was cut short. `run` absent: of `interval` outside runs.
std::vector<Finding> SharedFindings(const AttemptView& view, v1::Domain domain,
                                    std::optional<int> run, const Interval& interval);

}  // namespace joulefarm::controller
