// joulefarm-agent meters latency: how late a meter of this host is, from a load that is made to go
// up and down.
//
// Threads: one; the load has threads of its own. Ownership: what is handed in outlives the call.
#pragma once

#include <cstdint>
#include <filesystem>
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
  // What is constant of it whatever the host asks or fits, and what that may be off by, at most: a
  // channel's latency_ns and latency_u_ns.
  double constant_ns = 0;
  double constant_u_ns = 0;
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

struct LatencyRequest {
  std::string channel = {};         // empty: the one results come from
  bool force = false;               // see KeepRequest
  bool clear = false;               // ClearLatency is asked for, `channel` naming the meter
  std::filesystem::path file = {};  // LatencyFile of the agent's state directory
};

// Loads every processor for about a second in all, and keeps what it finds of a meter. The exit
// code: 0 it is kept, or of a sensor of this host as it is known to be; 1 it cannot be measured or
// kept; 3 it is not what is known.
int ShowLatency(const HostPaths& paths, const PowerSettings& settings,
                const LatencyRequest& request, std::ostream& out, std::ostream& err);

}  // namespace joulefarm::agent
