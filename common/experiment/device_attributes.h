// A device as selectors see it, and whether it has what a job needs.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "common/experiment/selector.h"
#include "joulefarm/v1/device.pb.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm {

// id, agent, kind (phone, jetson, laptop, server, board), os, and what of these could be read:
// os_version, kernel, arch, cores, ram_mib, cpu_model, hostname, soc. Each engine as engine.NAME
// with its version. Each label as label.KEY, and as KEY where that is not one of the above.
Attributes DeviceAttributes(absl::string_view device_id, absl::string_view agent_id,
                            const v1::DeviceFacts& facts,
                            const std::map<std::string, std::string>& labels);

// The job needs measured energy, and none of the channels that the device announced measures it. A
// device that announced no channels says nothing: its agent decides.
bool CannotMeasurePower(const v1::JobSpec& spec, const v1::DeviceFacts& facts);

}  // namespace joulefarm
