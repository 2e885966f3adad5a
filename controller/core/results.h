// The derived numbers of one attempt, as the finaliser computes them and the store keeps them.
//
// Thread rule: plain values. Absent numbers could not be measured and become NULL. Units are in the
// names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock/clock_parts.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::controller {

// Speed and memory of one run; goes into the derived columns of table `run`.
struct RunResult {
  int run = 0;
  std::optional<std::string> speed_method;  // "stream", "bench" or "reported"
  std::optional<std::int64_t> n_prompt;
  std::optional<std::int64_t> n_gen;
  std::optional<double> ttft_ms;
  std::optional<double> itps;
  std::optional<double> otps;
  std::optional<double> itl_p50_ms;
  std::optional<double> itl_p99_ms;
  std::optional<std::int64_t> n_timed;
  std::optional<double> peak_rss_mib;
  std::optional<double> max_temp_c;
  std::optional<v1::Quality> speed_quality;   // absent: no speed was asked of this run
  std::optional<v1::Quality> energy_quality;  // absent: no energy was asked or measured
  std::vector<std::string> quality_reasons;   // "energy clock:4.1%>1%"
};

// One standard uncertainty, joules, by component (k = 1). Absent: the component does not apply.
struct EnergyUncertainty {
  std::optional<double> gain_j;
  std::optional<double> offset_j;
  std::optional<double> clock_j;
  std::optional<double> counter_j;
  std::optional<double> gap_j;
  std::optional<double> baseline_j;
  std::optional<double> cable_j;
};

// Energy of one channel over one phase of one run, or over a whole run or attempt; a row of table
// `energy`.
struct EnergyResult {
  int source = 0;
  std::string channel;
  std::optional<int> run;      // absent: outside runs
  std::optional<int> request;  // absent: the sum over the run's requests, or no request
  std::optional<v1::Phase>
      phase;  // absent: the whole run (prefill and decode), or with run absent the whole attempt
  std::int64_t start_ns = 0;  // BOOTTIME; of the first and last part where it is a sum
  std::int64_t end_ns = 0;
  double duration_s = 0;
  std::optional<double> energy_j;
  std::optional<double> energy_u_j;  // k = 1, all components
  EnergyUncertainty parts;
  std::optional<double> energy_lo_j;  // hard bounds where there are any (counters)
  std::optional<double> energy_hi_j;
  std::optional<double> energy_net_j;
  std::optional<double> energy_net_u_j;
  std::optional<std::string> baseline;
  std::optional<double> mean_w;
  std::optional<double> peak_w;
  std::optional<double> mean_v;  // of the meter's voltage, where it has a channel of it
  std::optional<v1::Quality> quality;
  std::vector<std::string> reasons;
};

// How far the stamps of an energy channel are from the clock of the device's host, at most.
struct ClockBound {
  int source = 0;
  std::string channel;
  ClockParts parts;
  bool known = true;  // false: nothing bounds them
};

// When the samples of a chunk that another clock stamped were, on that of the device's host.
struct ChunkTime {
  std::int64_t chunk = 0;  // id of its row
  std::int64_t t0_ns = 0;
  std::int64_t t1_ns = 0;
};

struct AttemptResults {
  std::int64_t fence = 0;
  std::vector<RunResult> runs;
  std::vector<EnergyResult> energies;
  std::vector<ClockBound> clock_bounds;
  std::vector<ChunkTime> chunk_times;
};

}  // namespace joulefarm::controller
