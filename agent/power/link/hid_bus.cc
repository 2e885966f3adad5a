#include "agent/power/link/hid_bus.h"

#include <hidapi/hidapi.h>
#include <libudev.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace joulefarm::agent {
namespace {

constexpr std::uint16_t kVendorPage = 0xFF00;

// hidapi gives wide characters, of whatever the locale makes of the device's UTF-16.
std::string Utf8(const wchar_t* wide) {
  std::string text;
  for (; wide != nullptr && *wide != L'\0'; ++wide) {
    const auto code = static_cast<char32_t>(*wide);
    if (code < 0x80) {
      text.push_back(static_cast<char>(code));
    } else if (code < 0x800) {
      text.push_back(static_cast<char>(0xC0 | code >> 6));
      text.push_back(static_cast<char>(0x80 | (code & 0x3F)));
    } else if (code < 0x10000) {
      text.push_back(static_cast<char>(0xE0 | code >> 12));
      text.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3F)));
      text.push_back(static_cast<char>(0x80 | (code & 0x3F)));
    } else {
      text.push_back('?');
    }
  }
  return text;
}

struct UdevClose {
  void operator()(udev* context) const { udev_unref(context); }
  void operator()(udev_device* device) const { udev_device_unref(device); }
};

// The USB port the interface hangs on, such as "3-1.2"; empty: none.
std::string PortPath(udev* context, const std::string& node) {
  const std::string name = node.substr(node.rfind('/') + 1);
  const std::unique_ptr<udev_device, UdevClose> interface(
      udev_device_new_from_subsystem_sysname(context, "hidraw", name.c_str()));
  if (interface == nullptr) return "";
  // The parent belongs to the interface.
  udev_device* const port =
      udev_device_get_parent_with_subsystem_devtype(interface.get(), "usb", "usb_device");
  const char* const path = port == nullptr ? nullptr : udev_device_get_sysname(port);
  return path == nullptr ? "" : path;
}

UsbDevice From(const hid_device_info& info) {
  UsbDevice device;
  device.vendor = info.vendor_id;
  device.product = info.product_id;
  device.manufacturer = Utf8(info.manufacturer_string);
  device.product_name = Utf8(info.product_string);
  device.serial = Utf8(info.serial_number);
  device.node = info.path;
  device.usage_page = info.usage_page;
  device.interface_number = info.interface_number;
  return device;
}

}  // namespace

std::mutex& HidapiMutex() {
  static std::mutex mutex;
  return mutex;
}

std::vector<UsbDevice> ListHid() {
  std::map<std::string, UsbDevice> by_node;
  {
    const std::lock_guard<std::mutex> held(HidapiMutex());
    // One entry per usage of an interface.
    hid_device_info* const first = hid_enumerate(0, 0);
    for (const hid_device_info* info = first; info != nullptr; info = info->next) {
      if (info->path == nullptr) continue;
      UsbDevice device = From(*info);
      const auto [at, is_new] = by_node.emplace(device.node, device);
      if (!is_new && at->second.usage_page < kVendorPage && device.usage_page >= kVendorPage) {
        at->second = std::move(device);
      }
    }
    hid_free_enumeration(first);
  }
  const std::unique_ptr<udev, UdevClose> context(udev_new());
  std::vector<UsbDevice> devices;
  for (auto& [node, device] : by_node) {
    if (context != nullptr) device.path = PortPath(context.get(), node);
    // Bluetooth and what the kernel makes up have no port.
    if (!device.path.empty()) devices.push_back(std::move(device));
  }
  return devices;
}

}  // namespace joulefarm::agent
