// observer.otps_loss_pct: tokens/s that an engine loses by being sampled.
//
// Threads: blocks. Ownership: none.
#pragma once

#include <string>

#include "deploy/benchmarks/observer_run.h"

namespace joulefarm::bench {

// Runs it and prints the figure; `what` goes into its detail. 0: all went well.
int MeasureObserver(const ObserverSetting& setting, const std::string& what);

}  // namespace joulefarm::bench
