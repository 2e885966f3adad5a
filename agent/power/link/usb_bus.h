// What hangs on this host's USB, from sysfs through udev: strings included, and without opening a
// device.
//
// Threads: any. Ownership: values.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "agent/power/link/usb_device.h"

namespace joulefarm::agent {

// Every device (not its interfaces) with its node in /dev/bus/usb. Empty where the host has no USB.
absl::StatusOr<std::vector<UsbDevice>> ListUsbDevices();

}  // namespace joulefarm::agent
