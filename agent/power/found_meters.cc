#include "agent/power/found_meters.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/power/link/hid_bus.h"
#include "agent/power/link/hid_link.h"
#include "agent/power/link/program_link.h"
#include "agent/power/link/serial_link.h"
#include "agent/power/link/tcp_link.h"
#include "agent/power/link/usb_bus.h"
#include "agent/power/link/usb_devices.h"
#include "agent/power/link/usb_link.h"
#include "agent/power/meter/check_settings.h"
#include "agent/power/meter/registry.h"
#include "agent/power/stated_meters.h"

namespace joulefarm::agent {
namespace {

// What joulefarm-fake-meter plugs in, and what somebody else's simulation may call itself.
constexpr char kSimulated[] = "SIMULATED";
constexpr int kConnectMs = 1000;

absl::StatusOr<std::vector<UsbDevice>> ListDevices(LinkKind link) {
  switch (link) {
    case LinkKind::kUsbBulk:
      return ListUsbDevices();
    case LinkKind::kSerial:
      return ListSerialDevices();
    case LinkKind::kHid:
      return ListHid();
    default:
      return std::vector<UsbDevice>();
  }
}

absl::StatusOr<std::unique_ptr<Link>> Open(const FoundMeter& meter, const UsbDevice& device) {
  const MeterModel& model = *meter.model;
  switch (model.link) {
    case LinkKind::kUsbBulk:
      return OpenUsbLink(device, {.usb_interface = model.usb_interface,
                                  .endpoint_out = model.endpoint_out,
                                  .endpoint_in = model.endpoint_in});
    case LinkKind::kSerial:
      return OpenSerial(device.node, model.baud);
    case LinkKind::kHid:
      return OpenHid(device.node);
    case LinkKind::kTcp:
      return ConnectTcp(device.node, model.tcp_port, kConnectMs);
    case LinkKind::kProgram:
      return MakeProgramLink(meter.command, meter.journal);
    default:
      return absl::UnimplementedError(absl::StrCat(model.title, " has no link here"));
  }
}

std::string PermissionAdvice(const MeterModel& model, const UsbDevice& device) {
  if (model.link == LinkKind::kUsbBulk) return UsbPermissionAdvice(device);
  return absl::StrCat(
      model.title, ": no permission to open ", device.node,
      "; install the rules in deploy/udev and put the agent's user into their group "
      "joulefarm (docs/meters.md)");
}

// What is stated of meters and cannot be true of their models.
void CheckStated(const MeterConfig& config, FoundMeters& here) {
  for (FoundMeter& meter : here.meters) {
    if (!meter.obstacle.empty()) continue;
    const MeterSettings* stated = StatedOf(meter, here, config.meters);
    const absl::Status can_be =
        CheckSettings(*meter.model, stated != nullptr ? *stated : MeterSettings());
    if (can_be.ok()) continue;
    meter.obstacle =
        absl::StrCat(Describe(meter), ", meters of the agent's configuration: ", can_be.message());
  }
}

// A link in /dev/serial and the node that it leads to are one.
bool IsOneNode(const std::string& one, const std::string& other) {
  std::error_code error;
  return one == other ||
         (!one.empty() && !other.empty() && std::filesystem::equivalent(one, other, error));
}

// What is stated by its node of a meter that was found by itself, or stated before.
void StateAgain(const MeterSettings& settings, const MeterModel& model, FoundMeter& meter,
                FoundMeters& here) {
  if (meter.model != &model) {
    here.obstacles.push_back(absl::StrCat(
        "meter at ", settings.node, " of the agent's configuration is taken to be what it says: ",
        Describe(meter), ", and no ", model.title, "; correct its model, or take it out"));
    return;
  }
  meter.stated_node = settings.node;
  if (settings.serial.empty() || !meter.device.serial.empty()) return;
  // It is told by what its operator says then, and opened where that is.
  meter.device.serial = settings.serial;
  meter.device.node = settings.node;
  meter.device.vendor = 0;
}

// Devices of one kind of bus that a model says are its own.
void Match(const std::vector<UsbDevice>& devices, LinkKind link, FoundMeters& here) {
  for (const UsbDevice& device : devices) {
    for (const MeterModel& model : MeterModels()) {
      if (model.link != link || !model.match) continue;
      const UsbMatch match = model.match(device);
      if (match == UsbMatch::kNo) continue;
      FoundMeter& meter = here.meters.emplace_back(FoundMeter{&model, device, ""});
      if (match == UsbMatch::kFirmwareUpdate) {
        meter.obstacle = absl::StrCat(
            Describe(meter),
            " is in firmware-update mode and is left alone; unplug it and plug it in without its "
            "button held");
      } else if (!device.node.empty() && access(device.node.c_str(), R_OK | W_OK) != 0) {
        meter.obstacle = PermissionAdvice(model, device);
      }
      break;
    }
  }
}

// What its power channel is called where no other is called so.
std::string LabelOf(const FoundMeter& meter, const FoundMeters& here, const MeterConfig& config) {
  const MeterSettings* settings = StatedOf(meter, here, config.meters);
  return settings == nullptr || settings->channel.empty() ? meter.model->name : settings->channel;
}

// Those that take in most of what a device draws: beside a meter in its supply a reader of its
// board's sensors is not a second one to choose from.
std::vector<const FoundMeter*> Widest(const FoundMeters& here) {
  std::vector<const FoundMeter*> widest;
  for (const FoundMeter& meter : here.meters) {
    if (!widest.empty() && meter.model->reach > widest[0]->model->reach) continue;
    if (!widest.empty() && meter.model->reach < widest[0]->model->reach) widest.clear();
    widest.push_back(&meter);
  }
  return widest;
}

Width WidthOf(MeterReach reach) {
  switch (reach) {
    case MeterReach::kBattery:
      return Width::kBattery;
    case MeterReach::kBoard:
      return Width::kBoard;
    case MeterReach::kPackage:
      return Width::kPackage;
    case MeterReach::kDevice:
      break;
  }
  return Width::kDevice;
}

// The meter of the device; null: none, or nobody knows which.
const FoundMeter* DeviceMeter(const FoundMeters& here, const MeterConfig& config,
                              FoundPower& found) {
  // One that hangs elsewhere: what is here measures something else.
  if (!config.device.agent.empty()) return nullptr;
  std::vector<std::string> keys;
  std::transform(here.meters.begin(), here.meters.end(), std::back_inserter(keys), KeyOf);
  if (!config.device.serial.empty()) {
    const std::vector<const FoundMeter*> named = MetersNamed(config.device.serial, here);
    if (named.size() == 1) return named[0];
    found.meter_missing = true;
    if (!named.empty()) {
      found.obstacles.push_back(Ambiguous(config.device.serial, named));
      return nullptr;
    }
    found.obstacles.push_back(absl::StrCat("meter ", config.device.serial,
                                           " of the agent's configuration is not here (there are: ",
                                           keys.empty() ? "none" : absl::StrJoin(keys, ", "),
                                           "); plug it in, or name another in meter: {serial: …}"));
    return nullptr;
  }
  const std::vector<const FoundMeter*> widest = Widest(here);
  if (widest.size() == 1) return widest[0];
  if (widest.size() > 1) {
    std::vector<std::string> texts;
    std::transform(widest.begin(), widest.end(), std::back_inserter(texts),
                   [](const FoundMeter* meter) { return Describe(*meter); });
    found.obstacles.push_back(absl::StrCat(
        widest.size(), " meters are here and nothing says which of them measures this device: ",
        absl::StrJoin(texts, ", "),
        "; say it in the agent's configuration, such as meter: {serial: ", KeyOf(*widest[0]), "}"));
  }
  return nullptr;
}

}  // namespace

void AddStated(const MeterConfig& config, FoundMeters& here) {
  for (const MeterSettings& settings : config.meters) {
    if (settings.node.empty()) continue;
    const MeterModel* model = FindMeterModel(settings.model);
    if (model == nullptr || !model->make_driver) {
      here.obstacles.push_back(absl::StrCat(
          "meter at ", settings.node, " of the agent's configuration: there is no model \"",
          settings.model, "\" that can be read there; docs/meters.md lists them"));
      continue;
    }
    // Of programs the node says nothing.
    const auto known =
        std::find_if(here.meters.begin(), here.meters.end(), [&](const FoundMeter& meter) {
          return !model->program && !meter.model->program &&
                 IsOneNode(meter.device.node, settings.node);
        });
    if (known != here.meters.end()) {
      StateAgain(settings, *model, *known, here);
      continue;
    }
    FoundMeter& meter = here.meters.emplace_back();
    meter.model = model;
    meter.device.node = settings.node;
    meter.device.serial = settings.serial;
    if (!model->program) continue;
    meter.command = CommandOf(*model, settings);
    meter.journal = config.journal;
    if (const absl::Status program = CheckProgram(meter.command[0]); !program.ok())
      meter.obstacle = absl::StrCat(Describe(meter), ": ", program.message());
  }
}

FoundMeters FindMeters(const MeterConfig& config) {
  FoundMeters here;
  for (const LinkKind link : {LinkKind::kUsbBulk, LinkKind::kHid, LinkKind::kSerial}) {
    if (const absl::StatusOr<std::vector<UsbDevice>> devices = ListDevices(link); devices.ok()) {
      Match(*devices, link, here);
    } else {
      here.obstacles.emplace_back(devices.status().message());
    }
  }
  AddStated(config, here);
  TellTwinsApart(here);
  CheckStated(config, here);
  std::vector<std::string> unused = UnusedStatements(here, config.meters);
  std::move(unused.begin(), unused.end(), std::back_inserter(here.obstacles));
  return here;
}

MeteredSource::Opener OpenerOf(const FoundMeter& meter) {
  return [meter]() -> absl::StatusOr<std::unique_ptr<Link>> {
    const MeterModel& model = *meter.model;
    if (meter.device.vendor == 0) return Open(meter, meter.device);
    const absl::StatusOr<std::vector<UsbDevice>> devices = ListDevices(model.link);
    if (!devices.ok()) return devices.status();
    const absl::StatusOr<UsbDevice> device = DeviceOf(meter, *devices);
    if (!device.ok()) return device.status();
    return Open(meter, *device);
  };
}

MeterSettings SettingsFor(const FoundMeter& meter, const FoundMeters& here,
                          const MeterConfig& config) {
  const MeterSettings* stated = StatedOf(meter, here, config.meters);
  MeterSettings settings = stated != nullptr ? *stated : MeterSettings();
  if (const auto late = config.latencies.find(IdOf(meter)); late != config.latencies.end())
    settings.latency = late->second;
  const auto found = config.tares.find(IdOf(meter));
  if (found == config.tares.end()) return settings;
  const MeterTare& tare = found->second;
  const double sign = settings.negate ? -1 : 1;
  if (tare.current_a) settings.tare_a = sign * *tare.current_a;
  if (tare.power_w) settings.tare_w = sign * *tare.power_w;
  settings.tare_v = tare.voltage_v;
  settings.tare_sd = tare.sd;
  settings.tare_at = tare.taken_at;
  return settings;
}

std::unique_ptr<MeteredSource> MakeMeter(const FoundMeter& meter, const FoundMeters& here,
                                         const MeterConfig& config, const std::string& name) {
  MeteredSource::Identity identity = {.id = ResourceIdOf(meter, config.agent_id),
                                      .place = PlaceOf(meter)};
  identity.local_id = IdOf(meter);
  if (!meter.device.serial.empty()) identity.serial = meter.device.serial;
  identity.shares_serial = meter.shares_serial;
  if (meter.model->modelled) identity.provenance = v1::PROVENANCE_MODELLED;
  if (absl::StartsWith(meter.device.serial, kSimulated))
    identity.provenance = v1::PROVENANCE_SIMULATED;
  return std::make_unique<MeteredSource>(*meter.model, SettingsFor(meter, here, config), name,
                                         std::move(identity), OpenerOf(meter));
}

absl::StatusOr<std::unique_ptr<MeteredSource>> MakeMeterById(const std::string& id,
                                                             const MeterConfig& config) {
  const FoundMeters here = FindMeters(config);
  for (const FoundMeter& meter : here.meters) {
    if (ResourceIdOf(meter, config.agent_id) != id) continue;
    if (!meter.obstacle.empty()) return absl::UnavailableError(meter.obstacle);
    return MakeMeter(meter, here, config, LabelOf(meter, here, config));
  }
  return NotHere(id, here);
}

void AddMeters(const FoundMeters& here, const MeterConfig& config, bool every,
               const std::string& named, FoundPower& found) {
  found.obstacles.insert(found.obstacles.end(), here.obstacles.begin(), here.obstacles.end());
  const FoundMeter* of_device = DeviceMeter(here, config, found);
  for (const FoundMeter& meter : here.meters) {
    const bool chosen = &meter == of_device;
    const std::string name = found.Name(LabelOf(meter, here, config), KeyOf(meter));
    if (!chosen && !every && name != named) continue;
    if (!meter.obstacle.empty()) {
      found.obstacles.push_back(meter.obstacle);
      // Which one it would be is known: no other stands in for it.
      if (chosen && !config.device.serial.empty()) found.meter_missing = true;
      continue;
    }
    found.sources.push_back(MakeMeter(meter, here, config, name));
    if (chosen) found.totals.push_back({name, WidthOf(meter.model->reach)});
  }
}

}  // namespace joulefarm::agent
