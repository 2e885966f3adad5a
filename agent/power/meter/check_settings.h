// Whether what is stated of a meter can be true of its model.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/power/meter/model.h"
#include "agent/power/meter/settings.h"

namespace joulefarm::agent {

// INVALID_ARGUMENT: "KEY: what; what to do", of the first key that cannot be, or that is missing.
absl::Status CheckSettings(const MeterModel& model, const MeterSettings& settings);

// What is run for a meter that is a program's output: the stated command or the model's, with
// "{interval_ms}" filled in.
std::vector<std::string> CommandOf(const MeterModel& model, const MeterSettings& settings);

// What such a meter is known by in the whole farm where it has no serial number
// (MeterSettings::node): the program, and this host.
std::string ProgramNode(const MeterModel& model, const MeterSettings& settings);

}  // namespace joulefarm::agent
