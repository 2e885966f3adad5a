// A device on USB, as udev or libusb shows it. Empty or absent: not known.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstdint>
#include <string>

namespace joulefarm::agent {

struct UsbDevice {
  std::uint16_t vendor = 0;
  std::uint16_t product = 0;
  std::string manufacturer = {};
  std::string product_name = {};
  std::string serial = {};
  // Of the port, such as "3-1.2"; stays the same when it is plugged in again.
  std::string path = {};
  std::string node = {};         // "/dev/hidraw0", "/dev/ttyACM0", "/dev/bus/usb/003/009"
  std::uint16_t usage_page = 0;  // of a HID interface
  int interface_number = -1;
};

}  // namespace joulefarm::agent
