// Yepkit's switchable hubs YKUSH, YKUSH3 and YKUSHXS: a command and a reply in one HID report each.
//
// Threads: one at a time. Ownership: opens a link for each call, as the vendor's tool does, so that
// other programs can use the hub in between.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "agent/power/link/link.h"
#include "agent/power/link/usb_device.h"
#include "agent/power/switch/power_switch.h"

namespace joulefarm::agent {

enum class YkushModel {
  kYkush,        // ports 1 to 3
  kYkushLegacy,  // the same with reports of 6 bytes
  kYkush3,       // ports 1 to 3; 4 is its external 5 V output
  kYkushXs,      // port 1
};

// Absent: it is none.
std::optional<YkushModel> FindYkush(const UsbDevice& device);
int YkushPorts(YkushModel model);

// Reports to write, of the model's length. INVALID_ARGUMENT: there is no such port.
absl::StatusOr<std::vector<std::uint8_t>> YkushSet(YkushModel model, int port, bool on);
absl::StatusOr<std::vector<std::uint8_t>> YkushAsk(YkushModel model, int port);

// Of the replies. DATA_LOSS: it is none to this command.
absl::Status YkushTaken(absl::Span<const std::uint8_t> reply);
absl::StatusOr<bool> YkushIsOn(int port, absl::Span<const std::uint8_t> reply);

using OpenLink = std::function<absl::StatusOr<std::unique_ptr<Link>>()>;

// Set asks for the state afterwards and fails if it is not the one set.
std::unique_ptr<PowerSwitch> MakeYkush(YkushModel model, OpenLink open);

}  // namespace joulefarm::agent
