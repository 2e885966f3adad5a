// FarmService.Recompute: stored energies beside those computed again, as a table.
//
// Threads: blocks; a connection of its own that only reads. Ownership: none.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "controller/store/reader.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::controller {

// Columns: attempt, source, run, request, phase, channel, energy_j, recomputed_j, energy_u_j,
// recomputed_u_j, identical, differs (JSON: the columns of table energy that are not the same),
// outcome: "same", "absent" (identical, and without an energy on both sides) or
// "differs".
// NOT_FOUND as AttemptReader::Find. CANCELLED: the sink said so.
absl::Status SendRecomputed(const std::string& database, const v1::RecomputeRequest& request,
                            const TableSink& sink);

}  // namespace joulefarm::controller
