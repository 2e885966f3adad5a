#include "agent/power/switch/switches.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/host/sysfs.h"
#include "agent/power/link/hid_bus.h"
#include "agent/power/link/hid_link.h"
#include "agent/power/link/usb_bus.h"
#include "agent/power/link/usb_link.h"
#include "agent/power/switch/hub_switch.h"
#include "agent/power/switch/sysfs_switch.h"
#include "agent/power/switch/ykush.h"

namespace joulefarm::agent {
namespace {

// The hub's device; with the reason where it is not to be had.
absl::StatusOr<UsbDevice> FindHub(const std::string& place) {
  const absl::StatusOr<std::vector<UsbDevice>> devices = ListUsbDevices();
  if (!devices.ok()) return devices.status();
  const auto hub = std::find_if(devices->begin(), devices->end(),
                                [&](const UsbDevice& device) { return device.path == place; });
  if (hub != devices->end()) return *hub;
  return absl::UnavailableError(absl::StrCat("there is no USB hub at place \"", place,
                                             "\"; lsusb -t shows the places, such as 1-1"));
}

// Of USB 3 hubs the status of a port looks otherwise. 2.10 and below: USB 2.
absl::StatusOr<HubKind> KindOfHub(const HostPaths& paths, const std::string& place) {
  const absl::StatusOr<std::string> version =
      ReadSysfsText(paths.Under(absl::StrCat("sys/bus/usb/devices/", place, "/version")));
  if (!version.ok()) return version.status();
  double number = 0;
  if (!absl::SimpleAtod(*version, &number)) {
    return absl::DataLossError(absl::StrCat("hub ", place, " has USB version ", *version));
  }
  return number < 3 ? HubKind::kUsb2 : HubKind::kUsb3;
}

absl::StatusOr<UsbDevice> FindYkushDevice(const std::string& serial) {
  std::vector<UsbDevice> found;
  std::vector<std::string> serials;
  for (UsbDevice& device : ListHid()) {
    if (!FindYkush(device)) continue;
    serials.push_back(device.serial);
    if (serial.empty() || device.serial == serial) found.push_back(std::move(device));
  }
  if (found.size() == 1) return found.front();
  if (found.size() > 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("several YKUSH hubs are here (", absl::StrJoin(serials, ", "),
                     "); give the serial of the one that is meant"));
  }
  return absl::UnavailableError(absl::StrCat(
      "no YKUSH hub ", serial.empty() ? "is plugged in" : absl::StrCat("has serial ", serial),
      serials.empty() ? "" : absl::StrCat("; there are ", absl::StrJoin(serials, ", "))));
}

absl::StatusOr<std::unique_ptr<PowerSwitch>> OpenYkush(const SwitchSettings& settings) {
  const absl::StatusOr<UsbDevice> device = FindYkushDevice(settings.serial);
  if (!device.ok()) return device.status();
  return MakeYkush(*FindYkush(*device), [node = device->node] { return OpenHid(node); });
}

absl::StatusOr<std::unique_ptr<PowerSwitch>> OpenHubSwitch(const HostPaths& paths,
                                                           const SwitchSettings& settings) {
  const absl::StatusOr<UsbDevice> hub = FindHub(settings.place);
  if (!hub.ok()) return hub.status();
  const absl::StatusOr<HubKind> kind = KindOfHub(paths, settings.place);
  if (!kind.ok()) return kind.status();
  return MakeHubSwitch(*kind, absl::StrCat("hub ", settings.place),
                       [device = *hub] { return OpenUsbControl(device); });
}

}  // namespace

absl::StatusOr<SwitchedPort> FindPort(absl::string_view name_and_port,
                                      const std::vector<SwitchSettings>& switches) {
  const std::vector<std::string> words = absl::StrSplit(name_and_port, ':');
  int port = 0;
  if (words.size() != 2 || !absl::SimpleAtoi(words[1], &port) || port < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", name_and_port, "\" is no port of a switch: it is written NAME:NUMBER, as hub1:2"));
  }
  std::vector<std::string> names;
  for (const SwitchSettings& settings : switches) {
    if (settings.name == words[0]) return SwitchedPort{settings, port};
    names.push_back(settings.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no switch \"", words[0], "\"; ",
                   names.empty() ? "none is configured"
                                 : absl::StrCat("there are ", absl::StrJoin(names, ", "))));
}

std::string PortResourceId(const SwitchedPort& port) {
  const SwitchSettings& settings = port.power_switch;
  return absl::StrCat("port:", settings.kind, ":",
                      settings.serial.empty() ? settings.name : settings.serial, ":", port.port);
}

absl::StatusOr<std::unique_ptr<PowerSwitch>> OpenSwitch(const HostPaths& paths,
                                                        const SwitchSettings& settings,
                                                        ProcessJournal* journal) {
  absl::StatusOr<std::unique_ptr<PowerSwitch>> opened =
      settings.kind == "ykush"   ? OpenYkush(settings)
      : settings.kind == "sysfs" ? MakeSysfsSwitch(paths, settings.place)
      : settings.kind == "hub"   ? OpenHubSwitch(paths, settings)
      : settings.kind == "command"
          ? MakeCommandSwitch(settings.command, journal)
          : absl::InvalidArgumentError(absl::StrCat("kind \"", settings.kind,
                                                    "\" is none of ykush, hub, sysfs and command"));
  if (opened.ok()) return opened;
  return absl::Status(opened.status().code(),
                      absl::StrCat("switch ", settings.name, ": ", opened.status().message()));
}

std::optional<std::string> PlaceOfPort(const SwitchedPort& port) {
  const SwitchSettings& settings = port.power_switch;
  if (settings.kind == "sysfs" || settings.kind == "hub") {
    absl::string_view bus = settings.place;
    // Devices of a root hub's ports are "1-2", of another hub's "1-1.2".
    if (absl::ConsumePrefix(&bus, "usb")) return absl::StrCat(bus, "-", port.port);
    return absl::StrCat(settings.place, ".", port.port);
  }
  if (settings.kind == "ykush") {
    const absl::StatusOr<UsbDevice> device = FindYkushDevice(settings.serial);
    if (!device.ok()) return std::nullopt;
    const std::size_t dot = device->path.rfind('.');
    return dot == std::string::npos ? device->path : device->path.substr(0, dot);
  }
  return std::nullopt;
}

bool IsBelow(absl::string_view device, absl::string_view place) {
  return device == place || (absl::StartsWith(device, place) && device.size() > place.size() &&
                             device[place.size()] == '.');
}

}  // namespace joulefarm::agent
