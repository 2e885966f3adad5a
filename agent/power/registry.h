// Which power sources an attempt samples.
//
// Threads: any. Ownership: the caller gets the sources.
#pragma once

#include <memory>
#include <vector>

#include "agent/host/host_paths.h"
#include "agent/power/estimated.h"
#include "agent/power/power_source.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm::agent {

// None at all where the job wants none: then nothing is declared and energy stays absent.
std::vector<std::unique_ptr<PowerSource>> MakePowerSources(const v1::JobSpec& spec,
                                                           const HostPaths& paths,
                                                           const EstimateSettings& estimate);

}  // namespace joulefarm::agent
