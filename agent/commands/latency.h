// joulefarm-agent meters latency: how late a meter of this host is, from a load that is made to go
// up and down.
//
// Threads: one; the load has threads of its own. Ownership: what is handed in outlives the call.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "agent/host/host_paths.h"
#include "agent/power/registry.h"
#include "common/clock/edge_pattern.h"

namespace joulefarm::agent {

struct LatencyReport {
  std::string channel;
  // From the load to the stamp: what its model is known to be late by, and half of what it averages
  // over.
  PatternFit found;
  double stated_ns = 0;
  // Of the stamps, at most: what is not known of that, half a round trip, the fit of its clock.
  std::int64_t bound_ns = 0;
  std::string misaligned;  // by how much more than that they differ; empty: they agree
};

// What of the world it needs.
struct LatencyHooks {
  std::function<std::int64_t()> now_ns;  // BOOTTIME
  std::function<void(std::int64_t until_ns)> sleep;
  std::function<void(bool busy)> set_load;
};

// Drives the pattern and samples one channel (a power or a counter) of a source that was not
// started yet. FAILED_PRECONDITION: what stands in the way.
absl::StatusOr<LatencyReport> MeasureLatency(PowerSource& source, int channel,
                                             const LatencyHooks& hooks);

// `channel` empty: the one results come from. Loads every processor for about a
// second in all. The exit code: 0 stamps and model agree, 1 it cannot be measured, 3 they do not.
int ShowLatency(const HostPaths& paths, const PowerSettings& settings, const std::string& channel,
                std::ostream& out, std::ostream& err);

}  // namespace joulefarm::agent
