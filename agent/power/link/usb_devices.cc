#include "agent/power/link/usb_devices.h"

#include <dirent.h>
#include <libudev.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace joulefarm::agent {
namespace {

template <typename T, T* (*Free)(T*)>
struct Unref {
  void operator()(T* object) const { Free(object); }
};
using Udev = std::unique_ptr<udev, Unref<udev, udev_unref>>;
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

constexpr char kTtys[] = "/sys/class/tty";

struct CloseTtys {
  void operator()(DIR* dir) const { closedir(dir); }
};

// Consoles and pseudo terminals, of which every host has dozens: udev takes a tenth of a
// millisecond for each.
bool IsVirtual(const std::string& name) {
  char target[PATH_MAX];
  const ssize_t length = readlink(absl::StrCat(kTtys, "/", name).c_str(), target, sizeof target);
  return length > 0 &&
         absl::StrContains(absl::string_view(target, static_cast<std::size_t>(length)),
                           "/virtual/");
}

}  // namespace

absl::StatusOr<std::vector<UsbDevice>> ListSerialDevices() {
  const Udev context(udev_new());
  if (context == nullptr) return absl::UnavailableError("udev cannot be asked for serial lines");
  std::vector<UsbDevice> devices;
  // A kernel without terminals has no such folder.
  const std::unique_ptr<DIR, CloseTtys> ttys(opendir(kTtys));
  if (ttys == nullptr && errno != ENOENT) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot list serial lines in ", kTtys));
  }
  while (const dirent* const entry = ttys == nullptr ? nullptr : readdir(ttys.get())) {
    const std::string name = entry->d_name;
    if (name[0] == '.' || IsVirtual(name)) continue;
    const Device tty(udev_device_new_from_subsystem_sysname(context.get(), "tty", name.c_str()));
    UsbDevice found;
    if (tty != nullptr && Describe(tty.get(), found)) devices.push_back(std::move(found));
  }
  std::sort(devices.begin(), devices.end(),
            [](const UsbDevice& a, const UsbDevice& b) { return a.node < b.node; });
  return devices;
}

}  // namespace joulefarm::agent
