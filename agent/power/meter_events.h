// What is recorded of a meter with an attempt, as messages.
//
// Threads: any. Ownership: values.
#pragma once

#include <string>
#include <vector>

#include "agent/power/meter/report.h"
#include "agent/power/power_source.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

v1::MeterRecord MeterRecordOf(const MeterReport& meter, const std::string& agent_id);
v1::MeterStats MeterStatsOf(const MeterReport& meter);
// One message for each stretch in which the clock counted on.
std::vector<v1::MeterTicks> MeterTicksOf(const std::string& clock,
                                         const std::vector<ClockPair>& pairs);

}  // namespace joulefarm::agent
