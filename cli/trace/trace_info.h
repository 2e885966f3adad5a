// What belongs to a trace besides its samples: job, device, channel, phases and runs.
//
// Thread rule: one thread. Ownership: values. Stamps are BOOTTIME of the agent's host, ns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/client.h"

namespace joulefarm::cli {

struct TracePhase {
  std::string name;
  std::optional<std::int64_t> run;
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;  // exclusive
};

struct TraceRun {
  std::int64_t run = 0;
  bool warmup = false;
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
};

struct TraceChannel {
  std::string name;
  std::int64_t source = 0;
  std::string quantity;    // as in docs/schema.md
  std::string scope;       // empty: none
  std::string provenance;  // empty: none
  std::string description;
  double nominal_hz = 0;        // 0: not stated
  std::int64_t refresh_ns = 0;  // 0: not stated
  std::optional<double> wrap;   // in the channel's unit

  // A cumulative quantity, which is looked at as its rate.
  bool IsCounter() const { return quantity == "energy_counter_j" || quantity == "cpu_time_s"; }
};

struct TraceInfo {
  std::string job;
  std::string experiment;  // id
  std::string cell;
  std::string device;
  std::int64_t attempt = 0;
  TraceChannel channel;
  std::vector<TracePhase> phases;  // in order
  std::vector<TraceRun> runs;      // in order
  std::int64_t first_ns = 0;       // of the samples
  std::int64_t last_ns = 0;
  std::int64_t samples = 0;
  std::int64_t lost = 0;

  // The phase at an instant; null outside all of them.
  const TracePhase* PhaseAt(std::int64_t t_ns) const;
  // Where the attempt begins: its first phase or its first sample.
  std::int64_t Origin() const;
  // A run from its first phase to its last. NOT_FOUND names the runs there are.
  absl::StatusOr<TraceRun> FindRun(std::int64_t run) const;
  // Whether an instant inside a run's time is the run's own: in one of its phases, or in the time
  // of no other run. Runs that one engine process times overlap.
  bool IsOfRun(std::int64_t run, std::int64_t t_ns) const;
  // The usual time between two samples; 0 when nobody can tell.
  std::int64_t PeriodNs() const;
};

// What the operator asks for.
struct TraceQuery {
  std::string job;
  std::optional<std::int64_t> attempt;
  std::string channel;  // empty: the primary one
};

// The request for the samples that the info describes.
v1::GetTraceRequest RequestFor(const TraceInfo& info);

// NOT_FOUND is the controller's own, which says what there is instead.
absl::StatusOr<TraceInfo> LoadTraceInfo(FarmClient& client, const TraceQuery& query);

}  // namespace joulefarm::cli
