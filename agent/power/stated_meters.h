// What the agent's configuration states of meters, and which of those here it is about.
//
// Threads: any. Ownership: what is returned points into the arguments.
#pragma once

#include <string>
#include <vector>

#include "agent/power/found_meter.h"
#include "agent/power/meter/settings.h"

namespace joulefarm::agent {

// What is stated of one of `here`; null: nothing.
const MeterSettings* StatedOf(const FoundMeter& meter, const FoundMeters& here,
                              const std::vector<MeterSettings>& stated);

// Statements that are about none of `here`, or nobody knows about which: each says what, why and
// what to do.
std::vector<std::string> UnusedStatements(const FoundMeters& here,
                                          const std::vector<MeterSettings>& stated);

}  // namespace joulefarm::agent
