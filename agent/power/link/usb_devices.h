// What udev knows of devices on USB that have a node.
//
// Threads: any. Ownership: values.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "agent/power/link/usb_device.h"

namespace joulefarm::agent {

// Serial lines on USB, by node. UNAVAILABLE: udev cannot be asked.
absl::StatusOr<std::vector<UsbDevice>> ListSerialDevices();

}  // namespace joulefarm::agent
