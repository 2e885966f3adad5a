// Turns everything an attempt recorded into its results: speeds, energies, grades.
//
// Threads: a pure function. Ownership: values.
#pragma once

#include "controller/core/results.h"
#include "controller/ingest/channel_trace.h"
#include "controller/store/store.h"

namespace joulefarm::controller {

// The same data always gives the same results. One run per RunDone; energies per energy channel as
// docs/measurement.md says, none where the spec says `power: {require: none}`. The fence is that of
// the final's cursors, 0 where it has none: the caller, who knows it, sets it.
// Where summaries of chunks come from changes no result; computing them reads every sample anew.
AttemptResults Finalise(const AttemptData& data, Summaries summaries = Summaries::kStored);

}  // namespace joulefarm::controller
