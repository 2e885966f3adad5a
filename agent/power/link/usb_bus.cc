#include "agent/power/link/usb_bus.h"

#include <libudev.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"

namespace joulefarm::agent {
namespace {

struct Unref {
  void operator()(udev* of) const { udev_unref(of); }
  void operator()(udev_enumerate* of) const { udev_enumerate_unref(of); }
  void operator()(udev_device* of) const { udev_device_unref(of); }
};

std::string Text(const char* text) { return text == nullptr ? std::string() : std::string(text); }

std::string Attribute(udev_device* device, const char* name) {
  return Text(udev_device_get_sysattr_value(device, name));
}

// Of four hexadecimal digits; nullopt: anything else.
std::optional<std::uint16_t> Number(const std::string& text) {
  std::uint32_t number = 0;
  if (!absl::SimpleHexAtoi(text, &number) || number > 0xFFFF) return std::nullopt;
  return static_cast<std::uint16_t>(number);
}

}  // namespace

absl::StatusOr<std::vector<UsbDevice>> ListUsbDevices() {
  const std::unique_ptr<udev, Unref> udev(udev_new());
  if (udev == nullptr) return absl::InternalError("cannot look at USB devices: udev does not work");
  const std::unique_ptr<udev_enumerate, Unref> found(udev_enumerate_new(udev.get()));
  std::vector<UsbDevice> devices;
  if (found == nullptr || udev_enumerate_add_match_subsystem(found.get(), "usb") < 0 ||
      udev_enumerate_add_match_property(found.get(), "DEVTYPE", "usb_device") < 0 ||
      udev_enumerate_scan_devices(found.get()) < 0) {
    return absl::InternalError("cannot look at USB devices: /sys cannot be read");
  }
  for (udev_list_entry* entry = udev_enumerate_get_list_entry(found.get()); entry != nullptr;
       entry = udev_list_entry_get_next(entry)) {
    const std::unique_ptr<udev_device, Unref> device(
        udev_device_new_from_syspath(udev.get(), udev_list_entry_get_name(entry)));
    if (device == nullptr) continue;  // it has just gone
    const std::optional<std::uint16_t> vendor = Number(Attribute(device.get(), "idVendor"));
    const std::optional<std::uint16_t> product = Number(Attribute(device.get(), "idProduct"));
    if (!vendor || !product) continue;
    UsbDevice& usb = devices.emplace_back();
    usb.vendor = *vendor;
    usb.product = *product;
    usb.manufacturer = Attribute(device.get(), "manufacturer");
    usb.product_name = Attribute(device.get(), "product");
    usb.serial = Attribute(device.get(), "serial");
    usb.path = Text(udev_device_get_sysname(device.get()));
    usb.node = Text(udev_device_get_devnode(device.get()));
  }
  return devices;
}

}  // namespace joulefarm::agent
