// Bulk and control transfers of one interface of a USB device, through libusb.
//
// Threads: one. Ownership: a link owns its device handle, the claim of its interface and a libusb
// context of its own; closing gives the interface back to the kernel's driver it was taken from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/power/link/link.h"
#include "agent/power/link/usb_device.h"

namespace joulefarm::agent {

struct UsbLinkOptions {
  int usb_interface = 0;
  std::uint8_t endpoint_out = 0;
  std::uint8_t endpoint_in = 0;
  // Takes the interface from a driver of the kernel, such as `powerz`. Never from another program.
  bool take_from_kernel = true;
};

// Opens device.node and claims the interface. PERMISSION_DENIED with the cure; UNAVAILABLE, it is
// not there (any more); HeldError, another program or a driver of the kernel has it.
absl::StatusOr<std::unique_ptr<Link>> OpenUsbLink(const UsbDevice& device,
                                                  const UsbLinkOptions& options);

// Opens device.node for control transfers only, such as a hub's: nothing is claimed, so the
// kernel's driver goes on. Read and Write answer UNIMPLEMENTED.
absl::StatusOr<std::unique_ptr<Link>> OpenUsbControl(const UsbDevice& device);

// The cure where a device's node may not be opened.
std::string UsbPermissionAdvice(const UsbDevice& device);

}  // namespace joulefarm::agent
