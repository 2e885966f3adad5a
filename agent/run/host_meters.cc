#include "agent/run/host_meters.h"

#include <optional>

#include "agent/power/found_meters.h"

namespace joulefarm::agent {
namespace {

// Of all meters that can be used; none of them is open.
std::vector<std::unique_ptr<PowerSource>> Sources(const FoundMeters& here,
                                                  const MeterConfig& config) {
  FoundPower found;
  AddMeters(here, config, /*every=*/true, "", found);
  return std::move(found.sources);
}

bool Is(const PowerSource& source, const std::string& id) {
  const std::optional<MeterReport> meter = source.Meter();
  return meter && meter->id == id;
}

}  // namespace

std::vector<v1::ResourceAnnouncement> HostMeters::Look() {
  std::vector<v1::ResourceAnnouncement> announcements;
  if (!live_) return announcements;
  const FoundMeters here = FindMeters(config_);
  const std::vector<std::unique_ptr<PowerSource>> sources = Sources(here, config_);
  for (const FoundMeter& meter : here.meters) {
    v1::ResourceAnnouncement& said = announcements.emplace_back();
    said.set_resource_id(ResourceIdOf(meter, config_.agent_id));
    said.set_kind(v1::RESOURCE_KIND_METER);
    said.set_model(meter.model->name);
    // Bindings name a meter by its serial number, or by its place. One that several have is told
    // all the same: a binding by it is refused then.
    said.set_serial(meter.device.serial.empty() ? KeyOf(meter) : meter.device.serial);
    said.set_place(PlaceOf(meter));
    said.set_obstacle(meter.obstacle);
    for (const std::unique_ptr<PowerSource>& source : sources) {
      if (!Is(*source, said.resource_id())) continue;
      for (const v1::ChannelInfo& channel : source->channels()) *said.add_channels() = channel;
    }
  }
  return announcements;
}

absl::StatusOr<std::unique_ptr<PowerSource>> HostMeters::Open(const std::string& resource_id) {
  const FoundMeters here = live_ ? FindMeters(config_) : FoundMeters();
  for (const FoundMeter& meter : here.meters) {
    if (ResourceIdOf(meter, config_.agent_id) == resource_id && !meter.obstacle.empty())
      return absl::UnavailableError(meter.obstacle);
  }
  for (std::unique_ptr<PowerSource>& source : Sources(here, config_)) {
    if (Is(*source, resource_id)) return std::move(source);
  }
  return NotHere(resource_id, here);
}

}  // namespace joulefarm::agent
