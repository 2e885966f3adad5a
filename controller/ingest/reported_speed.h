// What a command that reports no tokens says of its own speed: metrics of the names and units that
// view `result` has for it.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "controller/core/results.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::controller {

// Fills ttft_ms, itps, otps and itl_*_ms of the run with the means of what was reported for it, and
// speed_method when there was any. What has another unit, or is negative, stays a metric only.
void FillReportedSpeed(absl::Span<const v1::Metric> metrics, RunResult& result);

}  // namespace joulefarm::controller
