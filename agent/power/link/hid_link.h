// A HID interface through the kernel's hidraw.
//
// Threads: one per link. Ownership: owns the open device.
#pragma once

#include <memory>
#include <string>

#include "agent/power/link/link.h"

namespace joulefarm::agent {

// `node` such as "/dev/hidraw0". UNAVAILABLE: it is not there; PERMISSION_DENIED: and what to do;
// HeldError: another process of Joulefarm has it.
absl::StatusOr<std::unique_ptr<Link>> OpenHid(const std::string& node);

}  // namespace joulefarm::agent
