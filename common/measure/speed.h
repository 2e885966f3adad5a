// Speed of one run from what its requests reported, as docs/measurement.md defines it.
//
// Threads: pure functions. Ownership: inputs are borrowed for the call; results are values. Stamps
// are ns on CLOCK_BOOTTIME of the engine's host.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "common/measure/grade.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm {

// One request with the arrivals of its tokens: idx[i] is the engine's token index after the event
// at t_ns[i].
struct RequestTrace {
  v1::RequestDone done;
  std::vector<std::int32_t> idx;
  std::vector<std::int64_t> t_ns;
};

// What was asked of every run.
struct SpeedExpectation {
  enum class EndOfText { kEnds, kIgnored };
  int prompts = 0;
  int max_tokens = 0;
  EndOfText end_of_text = EndOfText::kEnds;
};

struct Speed {
  std::optional<std::int64_t> n_prompt;  // sums over the requests
  std::optional<std::int64_t> n_gen;
  std::optional<double> ttft_ms;     // mean over the requests
  std::optional<double> itps;        // evaluated prompt tokens per s of the engine's prompt time
  std::optional<double> otps;        // tokens per s between first and last token
  std::optional<double> tpot_ms;     // 1000 / otps
  std::optional<double> itl_p50_ms;  // inter-token latency
  std::optional<double> itl_p99_ms;  // absent below 100 intervals
  std::int64_t n_timed = 0;          // intervals between consecutive indices
  std::vector<Finding> findings;
};

Speed MeasureSpeed(const SpeedExpectation& expected, const v1::RunDone& run,
                   absl::Span<const RequestTrace> requests);

// Of a run that the engine timed itself: rates over its own times, nothing else.
Speed MeasureBench(const v1::BenchTimes& bench);

}  // namespace joulefarm
