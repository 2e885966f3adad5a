#include "agent/run/granted_meters.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace joulefarm::agent {
namespace {

bool IsMeter(const v1::GrantedResource& granted) {
  return absl::StartsWith(granted.resource_id(), "meter:");
}

}  // namespace

std::vector<v1::GrantedResource> MetersHere(const v1::Grant& grant) {
  std::vector<v1::GrantedResource> meters;
  for (const v1::GrantedResource& granted : grant.resources()) {
    if (IsMeter(granted) && granted.source() == grant.source()) meters.push_back(granted);
  }
  return meters;
}

bool IsMeasuredElsewhere(const v1::Grant& grant) {
  return std::any_of(grant.resources().begin(), grant.resources().end(),
                     [&](const v1::GrantedResource& granted) {
                       return IsMeter(granted) && granted.source() != grant.source();
                     });
}

std::optional<std::string> MissingMeter(const v1::Grant& grant, const MeterChoice& named) {
  if (named.serial.empty() && named.agent.empty()) return std::nullopt;
  if (!grant.spec().power_channel().empty()) return std::nullopt;
  if (std::any_of(grant.resources().begin(), grant.resources().end(), IsMeter)) return std::nullopt;
  return absl::StrCat("the device's meter", named.serial.empty() ? "" : " ", named.serial,
                      named.agent.empty() ? "" : " on agent ", named.agent,
                      " was not granted, and no other sensor stands in for it: energy is estimated "
                      "(meter_left_out in the result says why)");
}

std::optional<std::string> PrimaryOf(const v1::GrantedResource& granted, const PowerSource& meter) {
  for (const v1::ChannelInfo& channel : meter.channels()) {
    const bool energy = channel.quantity() == v1::QUANTITY_POWER_W ||
                        channel.quantity() == v1::QUANTITY_ENERGY_COUNTER_J;
    if (granted.channel().empty() ? energy : channel.name() == granted.channel())
      return channel.name();
  }
  return std::nullopt;
}

}  // namespace joulefarm::agent
