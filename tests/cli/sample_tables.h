// Listings as a controller would send them, for tests and for looking at.
//
// Thread rule: pure. Ownership: values.
#pragma once

#include "absl/status/statusor.h"
#include "common/table/table.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::cli {

// Three models, three runs and a warm-up each, energy estimated from CPU use. Columns of
// docs/cli.md's result.
Table SampleResults();
// The aggregates of SampleResults, as view result_summary has them.
Table SampleSummary();
Table SampleJobs();
Table SampleDevices();
Table SampleExperiments();
Table SampleAgents();
Table SampleArtifacts();
Table SampleLogs();

// Answers a listing from the samples: `id` picks rows by id or name (NOT_FOUND without one),
// filters by column (INVALID_ARGUMENT for an unknown one), limit.
absl::StatusOr<Table> SampleList(const v1::ListRequest& request);

}  // namespace joulefarm::cli
