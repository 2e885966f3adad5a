// A line to a device: USB bulk endpoints, HID reports, a serial line, or what a program prints.
//
// Threads: one. Ownership: a link owns its handle and closes it in its
// destructor.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace joulefarm::agent {

// A USB control transfer on endpoint 0; the direction is bit 7 of request_type.
struct ControlRequest {
  std::uint8_t request_type = 0;
  std::uint8_t request = 0;
  std::uint16_t value = 0;
  std::uint16_t index = 0;
};

// Errors of all: UNAVAILABLE, the device is gone (open it again); DEADLINE_EXCEEDED, nothing
// within the time; PERMISSION_DENIED, with the cure; INTERNAL otherwise. What opens a link answers
// HeldError where another program holds the device.
class Link {
 public:
  virtual ~Link() = default;
  // All of them, or an error. HID: one report, without a report id.
  virtual absl::Status Write(absl::Span<const std::uint8_t> bytes, int timeout_ms) = 0;
  // What has arrived, at most `most` bytes and at least one. USB and HID: one transfer or report.
  virtual absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t most, int timeout_ms) = 0;
  // BOOTTIME, ns, when what the last Read returned had arrived, where the link knows it better than
  // whoever called it.
  virtual std::optional<std::int64_t> arrived_ns() const { return std::nullopt; }
  // USB links only; the others answer UNIMPLEMENTED. `data` is sent, or filled and cut to what
  // came.
  virtual absl::Status Control(const ControlRequest& request, std::vector<std::uint8_t>& data,
                               int timeout_ms);
};

// RESOURCE_EXHAUSTED: "WHAT is held by BY: CURE". Whoever holds it may be done in a moment: asking
// again is worth it.
absl::Status HeldError(absl::string_view what, absl::string_view by, absl::string_view cure);

}  // namespace joulefarm::agent
