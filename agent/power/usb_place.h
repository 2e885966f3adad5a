// Where on this host's USB a meter's device is, so that nobody cuts the port that carries it.
//
// Threads: any. Ownership: values.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/host/host_paths.h"
#include "agent/power/link/usb_device.h"

namespace joulefarm::agent {

// "3-1.2"; nullopt: it is not on USB (a host name, rfcomm, a built-in line). FAILED_PRECONDITION:
// it has a node of which nothing says where it is.
absl::StatusOr<std::optional<std::string>> UsbPlaceOf(const HostPaths& paths,
                                                      const UsbDevice& device);

}  // namespace joulefarm::agent
