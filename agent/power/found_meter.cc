#include "agent/power/found_meter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace joulefarm::agent {
namespace {

std::string BusPlace(const UsbDevice& device) {
  return device.path.empty() ? device.node : device.path;
}

std::string PlaceText(const UsbDevice& device) {
  return device.path.empty() ? device.node : absl::StrCat("USB port ", device.path);
}

std::string IdWith(const FoundMeter& meter, absl::string_view key) {
  return absl::StrCat("meter:", meter.model->name, ":", key);
}

bool IsBySerial(const FoundMeter& meter) {
  return !meter.device.serial.empty() && !meter.shares_serial;
}

// A server that every host finds under this name.
bool IsOnNetwork(const FoundMeter& meter) {
  const std::string& node = meter.device.node;
  return meter.model->link == LinkKind::kTcp && !absl::StartsWith(node, "127.") &&
         !absl::StartsWith(node, "localhost") && !absl::StartsWith(node, "[::1]");
}

}  // namespace

void TellTwinsApart(FoundMeters& here) {
  for (FoundMeter& meter : here.meters) {
    meter.shares_serial =
        !meter.device.serial.empty() &&
        std::any_of(here.meters.begin(), here.meters.end(), [&](const FoundMeter& other) {
          return &other != &meter && other.device.serial == meter.device.serial;
        });
  }
}

std::string KeyOf(const FoundMeter& meter) {
  return IsBySerial(meter) ? meter.device.serial : BusPlace(meter.device);
}

std::string IdOf(const FoundMeter& meter) { return IdWith(meter, KeyOf(meter)); }

std::string ResourceIdOf(const FoundMeter& meter, absl::string_view agent_id) {
  if (agent_id.empty() || IsBySerial(meter) || IsOnNetwork(meter)) return IdOf(meter);
  return IdWith(meter, absl::StrCat(agent_id, ":", KeyOf(meter)));
}

std::string PlaceOf(const FoundMeter& meter) { return PlaceText(meter.device); }

std::string Describe(const FoundMeter& meter) {
  return absl::StrCat(
      meter.model->title,
      meter.device.serial.empty() ? "" : absl::StrCat(" (serial ", meter.device.serial, ")"),
      " on ", PlaceOf(meter));
}

std::vector<const FoundMeter*> MetersNamed(absl::string_view name, const FoundMeters& here) {
  std::vector<const FoundMeter*> by_serial;
  std::vector<const FoundMeter*> by_place;
  for (const FoundMeter& meter : here.meters) {
    if (name.empty()) continue;
    if (meter.device.serial == name) by_serial.push_back(&meter);
    if (BusPlace(meter.device) == name) by_place.push_back(&meter);
  }
  return by_serial.empty() ? by_place : by_serial;
}

std::string Ambiguous(absl::string_view name, const std::vector<const FoundMeter*>& meters) {
  const std::string all = absl::StrJoin(
      meters, ", ",
      [](std::string* out, const FoundMeter* meter) { absl::StrAppend(out, Describe(*meter)); });
  return absl::StrCat("meter ", name, " is not one meter: ", meters.size(),
                      " here have that serial number (", all,
                      "); name one by its USB port, such as serial: ", KeyOf(*meters[0]));
}

absl::Status NotHere(const std::string& id, const FoundMeters& here) {
  std::vector<const FoundMeter*> twins;
  for (const FoundMeter& meter : here.meters) {
    if (meter.shares_serial && IdWith(meter, meter.device.serial) == id) twins.push_back(&meter);
  }
  if (!twins.empty())
    return absl::UnavailableError(
        absl::StrCat(id, ": ", Ambiguous(twins[0]->device.serial, twins)));
  return absl::UnavailableError(
      absl::StrCat("meter ", id, " is not here; `joulefarm-agent meters` lists those that are"));
}

bool IsAtNode(const FoundMeter& meter, const std::string& node) {
  return !node.empty() && (node == meter.device.node || node == meter.stated_node);
}

absl::StatusOr<UsbDevice> DeviceOf(const FoundMeter& meter, const std::vector<UsbDevice>& devices) {
  std::vector<UsbDevice> alike;
  for (const UsbDevice& device : devices) {
    if (device.vendor != meter.device.vendor || device.product != meter.device.product ||
        device.interface_number != meter.device.interface_number ||
        device.serial != meter.device.serial ||
        (meter.model->match && meter.model->match(device) == UsbMatch::kNo))
      continue;
    alike.push_back(device);
  }
  for (const UsbDevice& device : alike) {
    if (BusPlace(device) == BusPlace(meter.device)) return device;
  }
  // Moved to another port, which only a serial number of its own tells.
  if (!meter.device.serial.empty() && !meter.shares_serial && alike.size() == 1) return alike[0];
  if (meter.device.serial.empty() || alike.empty())
    return absl::UnavailableError("it is not plugged in");
  return absl::UnavailableError(
      absl::StrCat("it is not on ", PlaceOf(meter), " any more, and that it is the one on ",
                   absl::StrJoin(alike, " or ",
                                 [](std::string* out, const UsbDevice& device) {
                                   absl::StrAppend(out, PlaceText(device));
                                 }),
                   " is not known: the serial number ", meter.device.serial,
                   " has been seen on more than one; plug it into its port again"));
}

}  // namespace joulefarm::agent
