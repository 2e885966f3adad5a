#include "agent/run/host_ports.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/power/usb_place.h"
#include "agent/run/port_cut.h"

namespace joulefarm::agent {
namespace {

constexpr char kUsbPort[] = "USB port ";

absl::StatusOr<std::vector<std::string>> PlacesOf(
    const HostPaths& paths, absl::Span<const v1::ResourceAnnouncement> meters) {
  std::vector<std::string> places;
  for (const v1::ResourceAnnouncement& meter : meters) {
    UsbDevice device;
    absl::string_view where = meter.place();
    std::string& known = absl::ConsumePrefix(&where, kUsbPort) ? device.path : device.node;
    known = std::string(where);
    const absl::StatusOr<std::optional<std::string>> place = UsbPlaceOf(paths, device);
    if (!place.ok()) return place.status();
    if (*place) places.push_back(**place);
  }
  return places;
}

// Empty: nothing stands in the way of cutting it.
std::string Obstacle(const HostPaths& paths, const SwitchedPort& port,
                     absl::Span<const v1::ResourceAnnouncement> meters) {
  absl::Status status = OpenSwitch(paths, port.power_switch).status();
  if (status.ok()) {
    const absl::StatusOr<std::vector<std::string>> places = PlacesOf(paths, meters);
    status = places.ok() ? CheckCarriesNone(paths, port, *places) : places.status();
  }
  return std::string(status.message());
}

}  // namespace

v1::ResourceAnnouncement AnnouncePort(const HostPaths& paths, const SwitchedPort& port,
                                      const std::string& agent_id,
                                      absl::Span<const v1::ResourceAnnouncement> meters) {
  v1::ResourceAnnouncement said;
  said.set_resource_id(PortResourceId(port, agent_id));
  said.set_kind(v1::RESOURCE_KIND_PORT);
  said.set_model(port.power_switch.kind);
  if (!port.power_switch.serial.empty()) said.set_serial(port.power_switch.serial);
  // Of a YKUSH only the whole is known.
  const absl::StatusOr<std::vector<std::string>> places = PlacesOfPort(paths, port);
  if (places.ok() && !places->empty() && port.power_switch.kind != "ykush")
    said.set_place(absl::StrCat(kUsbPort, *std::min_element(places->begin(), places->end())));
  said.set_obstacle(Obstacle(paths, port, meters));
  return said;
}

}  // namespace joulefarm::agent
