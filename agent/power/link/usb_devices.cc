#include "agent/power/link/usb_devices.h"

#include <libudev.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"

namespace joulefarm::agent {
namespace {

template <typename T, T* (*Free)(T*)>
struct Unref {
  void operator()(T* object) const { Free(object); }
};
using Udev = std::unique_ptr<udev, Unref<udev, udev_unref>>;
using Enumeration = std::unique_ptr<udev_enumerate, Unref<udev_enumerate, udev_enumerate_unref>>;
using Device = std::unique_ptr<udev_device, Unref<udev_device, udev_device_unref>>;

std::string Text(const char* text) { return text == nullptr ? "" : text; }

std::string Attribute(udev_device* device, const char* name) {
  return Text(udev_device_get_sysattr_value(device, name));
}

std::uint16_t Hex16(const std::string& text) {
  std::uint32_t value = 0;
  return absl::SimpleHexAtoi(text, &value) && value <= 0xFFFF ? static_cast<std::uint16_t>(value)
                                                              : 0;
}

// False: it is not on USB, or has no node.
bool Describe(udev_device* tty, UsbDevice& found) {
  // Parents belong to the child.
  udev_device* usb = udev_device_get_parent_with_subsystem_devtype(tty, "usb", "usb_device");
  found.node = Text(udev_device_get_devnode(tty));
  if (usb == nullptr || found.node.empty()) return false;
  found.vendor = Hex16(Attribute(usb, "idVendor"));
  found.product = Hex16(Attribute(usb, "idProduct"));
  found.manufacturer = Attribute(usb, "manufacturer");
  found.product_name = Attribute(usb, "product");
  found.serial = Attribute(usb, "serial");
  found.path = Text(udev_device_get_sysname(usb));
  udev_device* interface =
      udev_device_get_parent_with_subsystem_devtype(tty, "usb", "usb_interface");
  const std::string number = interface == nullptr ? "" : Attribute(interface, "bInterfaceNumber");
  if (!number.empty()) found.interface_number = Hex16(number);
  return true;
}

}  // namespace

absl::StatusOr<std::vector<UsbDevice>> ListSerialDevices() {
  const Udev context(udev_new());
  if (context == nullptr) return absl::UnavailableError("udev cannot be asked for serial lines");
  const Enumeration ttys(udev_enumerate_new(context.get()));
  if (ttys == nullptr || udev_enumerate_add_match_subsystem(ttys.get(), "tty") < 0 ||
      udev_enumerate_scan_devices(ttys.get()) < 0) {
    return absl::UnavailableError("udev does not list serial lines");
  }
  std::vector<UsbDevice> devices;
  udev_list_entry* entry = nullptr;
  udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(ttys.get())) {
    const Device tty(udev_device_new_from_syspath(context.get(), udev_list_entry_get_name(entry)));
    UsbDevice found;
    if (tty != nullptr && Describe(tty.get(), found)) devices.push_back(std::move(found));
  }
  std::sort(devices.begin(), devices.end(),
            [](const UsbDevice& a, const UsbDevice& b) { return a.node < b.node; });
  return devices;
}

}  // namespace joulefarm::agent
