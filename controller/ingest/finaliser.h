// Turns everything an attempt recorded into its results: speeds, energies, grades.
//
// Threads: a pure function. Ownership: values.
#pragma once

#include "controller/core/results.h"
#include "controller/store/store.h"

namespace joulefarm::controller {

// The same data always gives the same results. One run per RunDone; energies per energy channel as
// docs/measurement.md says, none where the spec says `power: {require: none}`. The fence is that of
// the final's cursors, 0 where it has none: the caller, who knows it, sets it.
AttemptResults Finalise(const AttemptData& data);

}  // namespace joulefarm::controller
