// Farm: which meter is whose. docs/states.md has the rules.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

namespace {

// Bound only because it is the one meter of the device's own host.
bool IsImplicit(const v1::MeterBinding& binding) {
  return binding.agent_id().empty() && binding.serial().empty();
}

// By its serial number, or by where its agent says it is.
bool IsNamed(const Resource& meter, const std::string& name) {
  return meter.serial == name || meter.place == absl::StrCat("USB port ", name);
}

// Its agent has not announced it any more, or still says of it that it was unplugged.
bool IsGone(const Resource& meter) {
  return meter.link == v1::DEVICE_LINK_OFFLINE || (meter.place.empty() && !meter.obstacle.empty());
}

// "meter:fnirsi:3-1 (serial 0001A0, USB port 3-1)".
std::string Describe(const Resource& meter) {
  return absl::StrCat(meter.id, " (serial ", meter.serial.value_or("not known"),
                      meter.place.empty() ? "" : ", ", meter.place, ")");
}

// How much of the device it takes in; one that cannot say it now may be in the supply.
v1::Scope ScopeOf(const Resource& meter) {
  return meter.channels.empty() ? v1::SCOPE_DEVICE
                                : std::max(v1::SCOPE_DEVICE, meter.channels[0].scope());
}

// Beside a meter in the device's supply a reader of its board's sensors is not a second one to
// choose from.
void KeepWidest(std::vector<const Resource*>& meters) {
  v1::Scope widest = v1::SCOPE_PACKAGE;
  for (const Resource* meter : meters) widest = std::min(widest, ScopeOf(*meter));
  std::erase_if(meters, [&](const Resource* meter) { return ScopeOf(*meter) > widest; });
}

}  // namespace

const std::string& Farm::MeterAgent(const Device& device) {
  return device.meter->agent_id().empty() ? device.agent_id : device.meter->agent_id();
}

// The meter a device is bound to; null: none, and `why` where there should be one.
const Resource* Farm::FindMeter(const Device& device, std::string& why) const {
  why.clear();
  if (!device.meter.has_value()) return nullptr;
  const v1::MeterBinding& binding = *device.meter;
  const std::string& host = MeterAgent(device);
  const auto agent = agents_.find(host);
  std::vector<const Resource*> meters;
  std::vector<const Resource*> gone;
  if (agent != agents_.end()) {
    for (const std::string& id : agent->second.resources) {
      const Resource& resource = resources_.at(id);
      if (resource.kind != v1::RESOURCE_KIND_METER) continue;
      if (!binding.serial().empty() && !IsNamed(resource, binding.serial())) continue;
      (IsGone(resource) ? gone : meters).push_back(&resource);
    }
  }
  // One that is no longer there stands for itself only where nothing else is.
  if (meters.empty()) meters = std::move(gone);
  if (binding.serial().empty()) KeepWidest(meters);
  // Whoever names no meter has one where there is just one.
  if (meters.size() != 1 && IsImplicit(binding)) return nullptr;
  if (meters.size() != 1) {
    const std::string named =
        binding.serial().empty() ? "" : absl::StrCat(" with serial ", binding.serial());
    if (meters.empty()) {
      why = absl::StrCat("agent ", host, " has announced no meter", named,
                         ": plug it in there, and look at `joulefarm resource list`");
      return nullptr;
    }
    why = absl::StrCat("agent ", host, " has ", meters.size(), " meters", named, ": ",
                       absl::StrJoin(meters, ", ",
                                     [](std::string* out, const Resource* meter) {
                                       absl::StrAppend(out, Describe(*meter));
                                     }),
                       "; say which by its serial number, or by its USB port where that is not its "
                       "own (meter: {serial: …})");
    return nullptr;
  }
  const Resource* const found = meters[0];
  if (!IsImplicit(binding)) return found;
  // A meter that is bound to another device measures that one, and not its host.
  for (const std::string& id : agent->second.metered) {
    const Device& other = devices_.at(id);
    std::string ignored;
    if (id != device.id && !IsImplicit(*other.meter) && FindMeter(other, ignored) == found)
      return nullptr;
  }
  return found;
}

// It has a meter, or will have one.
bool Farm::IsMetered(const Device& device) const {
  if (!device.meter.has_value()) return false;
  std::string ignored;
  return !IsImplicit(*device.meter) || FindMeter(device, ignored) != nullptr;
}

// The other devices on its meter.
std::set<std::string> Farm::SharersOf(const Device& device) const {
  std::set<std::string> sharers;
  std::string ignored;
  const Resource* meter = FindMeter(device, ignored);
  if (meter == nullptr) return sharers;
  for (const std::string& id : agents_.at(MeterAgent(device)).metered) {
    if (id != device.id && FindMeter(devices_.at(id), ignored) == meter) sharers.insert(id);
  }
  return sharers;
}

std::set<std::string> Farm::AroundOf(const Device& device) const {
  std::set<std::string> around = SharersOf(device);
  around.merge(OnPortOf(device));
  return around;
}

}  // namespace joulefarm::controller
