// What is recorded with every attempt beside what it measures: what the operator states, the hash
// of its prompts, and how the device was before and after.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "agent/run/gates.h"
#include "agent/workload/recorder.h"
#include "joulefarm/v1/job.pb.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

// Of all prompts in order, each followed by a line feed, lower-case hex; nullopt where there are
// none.
std::optional<std::string> PromptsSha256(const v1::JobSpec& spec);

// Metrics of the attempt: "start.temp.ZONE" (°C), "start.throttle.NAME" (count since boot),
// "start.battery.NAME" (%), with `when` for "start".
void RecordDeviceState(absl::string_view when, const DeviceState& device, Recorder& recorder);

}  // namespace joulefarm::agent
