// Ports of USB hubs by the hub class's own requests, for kernels without the attribute `disable`.
//
// Threads: one at a time. Ownership: opens a link for each call.
// Source: USB 2.0 specification 11.24.2 (requests) and 11.23.2.1 (descriptor); USB 3.2, 10.16.2.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "agent/power/link/link.h"
#include "agent/power/switch/power_switch.h"

namespace joulefarm::agent {

enum class HubKind { kUsb2, kUsb3 };

using OpenHub = std::function<absl::StatusOr<std::unique_ptr<Link>>()>;

// A hub that switches all its ports together, or none, is refused: FAILED_PRECONDITION. Set asks
// for the state afterwards and fails if it is not the one set. Of a USB 3 hub it is one half; see
// MakeBothHalves.
std::unique_ptr<PowerSwitch> MakeHubSwitch(HubKind kind, std::string title, OpenHub open);

}  // namespace joulefarm::agent
