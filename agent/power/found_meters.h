// The meters on this host's buses: which models, what stands in their way, and which of them
// measures the device.
//
// Threads: any. Ownership: values.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/power/found_meter.h"
#include "agent/power/found_power.h"
#include "agent/power/meter/settings.h"
#include "agent/power/metered_source.h"

namespace joulefarm::agent {

// Looks at every bus; opens nothing.
FoundMeters FindMeters(const MeterConfig& config);

// Adds the meters that nobody can recognise: their model and node are stated. One that is among
// `here` already, found by itself, stays one.
void AddStated(const MeterConfig& config, FoundMeters& here);

// Opens the meter wherever it is plugged in now.
MeteredSource::Opener OpenerOf(const FoundMeter& meter);

// What is stated of one of `here`, with its tare.
MeterSettings SettingsFor(const FoundMeter& meter, const FoundMeters& here,
                          const MeterConfig& config);

// A source of one of `here` with what is stated of it; `name` of its power channel.
std::unique_ptr<MeteredSource> MakeMeter(const FoundMeter& meter, const FoundMeters& here,
                                         const MeterConfig& config, const std::string& name);

// Of the meter with that id (ResourceIdOf), wherever it is plugged in here; its channel is called
// as it would be alone. UNAVAILABLE: it is not here, or cannot be used, and why.
absl::StatusOr<std::unique_ptr<MeteredSource>> MakeMeterById(const std::string& id,
                                                             const MeterConfig& config);

// Sources for the device's meter and, if `every` is set or their channel is `named`, for the
// others; only the device's is a total.
void AddMeters(const FoundMeters& here, const MeterConfig& config, bool every,
               const std::string& named, FoundPower& found);

}  // namespace joulefarm::agent
