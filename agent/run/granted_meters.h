// The meters among what was granted.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/power/meter/settings.h"
#include "agent/power/power_source.h"
#include "joulefarm/v1/lease.pb.h"

namespace joulefarm::agent {

// Those of the grant's own source, that is, of this host.
std::vector<v1::GrantedResource> MetersHere(const v1::Grant& grant);
// The device is measured by an agent that is not its own.
bool IsMeasuredElsewhere(const v1::Grant& grant);
// Why results can only be estimated: the device's meter is named, but was not granted, and the
// experiment asks for no other channel. nullopt: that is not so.
std::optional<std::string> MissingMeter(const v1::Grant& grant, const MeterChoice& named);
// The channel results are reported from: the one that was asked for, or the meter's power. nullopt:
// the meter has none such.
std::optional<std::string> PrimaryOf(const v1::GrantedResource& granted, const PowerSource& meter);

}  // namespace joulefarm::agent
