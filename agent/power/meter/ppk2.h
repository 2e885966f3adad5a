// Nordic Power Profiler Kit 2: current at 100 kHz on its own sample clock, computed with the
// calibration it keeps. It measures no voltage: power is known only where it is the source.
//
// Threads: any. Ownership: what is made belongs to the caller.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "agent/power/meter/model.h"

namespace joulefarm::agent {

// Its driver closes the way through an ampere meter and never sets a voltage.
MeterModel Ppk2Model();

// One that supplies the device with `supply_mv` instead. INVALID_ARGUMENT: not within 800 to 5000.
absl::StatusOr<std::unique_ptr<MeterDriver>> MakePpk2SourceDriver(int supply_mv);

}  // namespace joulefarm::agent
