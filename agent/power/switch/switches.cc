#include "agent/power/switch/switches.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "agent/power/link/hid_bus.h"
#include "agent/power/link/hid_link.h"
#include "agent/power/link/usb_bus.h"
#include "agent/power/link/usb_link.h"
#include "agent/power/switch/both_halves.h"
#include "agent/power/switch/hub_port.h"
#include "agent/power/switch/hub_switch.h"
#include "agent/power/switch/sysfs_switch.h"
#include "agent/power/switch/ykush.h"

namespace joulefarm::agent {
namespace {

// Of a USB 3 hub.
constexpr int kMostPorts = 15;

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

// One of the two hubs that a USB 3 hub is.
absl::StatusOr<std::unique_ptr<PowerSwitch>> OpenHubHalf(const HostPaths& paths,
                                                         const std::string& place) {
  const absl::StatusOr<UsbDevice> hub = FindHub(place);
  if (!hub.ok()) return hub.status();
  const absl::StatusOr<double> version = UsbVersionOf(paths, place);
  if (!version.ok()) return version.status();
  // The status of a port looks otherwise from USB 3 on.
  return MakeHubSwitch(*version < 3 ? HubKind::kUsb2 : HubKind::kUsb3, absl::StrCat("hub ", place),
                       [device = *hub] { return OpenUsbControl(device); });
}

absl::StatusOr<std::unique_ptr<PowerSwitch>> OpenHubSwitch(const HostPaths& paths,
                                                           const SwitchSettings& settings) {
  absl::StatusOr<std::unique_ptr<PowerSwitch>> half = OpenHubHalf(paths, settings.place);
  if (!half.ok()) return half;
  const std::string place = settings.place;
  HalfFinder finder;
  finder.other = [paths, place](int port) -> absl::StatusOr<std::optional<OtherHalf>> {
    const absl::StatusOr<std::optional<HubPort>> peer = PeerOf(paths, {place, port});
    if (!peer.ok()) return peer.status();
    if (!*peer) return std::nullopt;
    absl::StatusOr<std::unique_ptr<PowerSwitch>> other = OpenHubHalf(paths, (*peer)->hub);
    if (!other.ok()) return other.status();
    return OtherHalf{*std::move(other), (*peer)->port, TitleOf(**peer)};
  };
  finder.unknown = [paths, place](int port) { return UnknownPeer(paths, {place, port}); };
  return MakeBothHalves(*std::move(half), std::move(finder));
}

absl::Status AddPlaces(const HostPaths& paths, const HubPort& port,
                       std::vector<std::string>& places) {
  places.push_back(PlaceOf(port));
  const absl::StatusOr<std::optional<HubPort>> peer = PeerOf(paths, port);
  if (peer.ok() && *peer) places.push_back(PlaceOf(**peer));
  return peer.status();
}

// The hub in a YKUSH, and that of its USB 3 half.
absl::StatusOr<std::vector<std::string>> PlacesOfYkush(const HostPaths& paths,
                                                       const std::string& serial) {
  std::vector<std::string> places;
  const absl::StatusOr<UsbDevice> device = FindYkushDevice(serial);
  if (!device.ok()) return places;
  const std::size_t dot = device->path.rfind('.');
  places.push_back(dot == std::string::npos ? device->path : device->path.substr(0, dot));
  for (int port = 1; port <= kMostPorts; ++port) {
    const absl::StatusOr<std::optional<HubPort>> peer = PeerOf(paths, {places[0], port});
    if (!peer.ok()) return peer.status();
    if (*peer && std::find(places.begin(), places.end(), (*peer)->hub) == places.end())
      places.push_back((*peer)->hub);
  }
  return places;
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

std::string PortResourceId(const SwitchedPort& port, absl::string_view agent_id) {
  const SwitchSettings& settings = port.power_switch;
  // What the operator calls it, and where it is on the bus, another host may have as well.
  const std::string key = !settings.serial.empty() ? settings.serial
                          : agent_id.empty()       ? settings.name
                                                   : absl::StrCat(agent_id, ":", settings.name);
  return absl::StrCat("port:", settings.kind, ":", key, ":", port.port);
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

absl::StatusOr<std::vector<std::string>> PlacesOfPort(const HostPaths& paths,
                                                      const SwitchedPort& port) {
  const SwitchSettings& settings = port.power_switch;
  if (settings.kind == "ykush") return PlacesOfYkush(paths, settings.serial);
  std::vector<std::string> places;
  if (settings.kind != "sysfs" && settings.kind != "hub") return places;
  const absl::Status found = AddPlaces(paths, {settings.place, port.port}, places);
  if (!found.ok()) return found;
  return places;
}

bool IsBelow(absl::string_view device, const std::vector<std::string>& places) {
  return std::any_of(places.begin(), places.end(), [&](const std::string& place) {
    return device == place || (absl::StartsWith(device, place) && device.size() > place.size() &&
                               device[place.size()] == '.');
  });
}

}  // namespace joulefarm::agent
