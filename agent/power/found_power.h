// What a look around for power sources finds: the sources, which of their channels stand for how
// much of the device, and what stands in the way of others.
//
// Threads: one. Ownership: owns the sources.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/power/power_source.h"

namespace joulefarm::agent {

// How much of the device a channel covers, widest first. kRail: nobody knows, it may be a
// peripheral's.
enum class Width { kDevice, kBattery, kBoard, kPackage, kRail };

// A channel that is no part of another and covers all that its kind of source sees: results may be
// reported from it. Rails of which none is known to be the whole are no totals; one that is alone
// is of Width::kRail, the last resort.
struct PowerTotal {
  std::string channel;
  Width width = Width::kPackage;
};

struct FoundPower {
  std::vector<std::unique_ptr<PowerSource>> sources;
  std::vector<PowerTotal> totals;
  // Each says what, why and what to do.
  std::vector<std::string> obstacles;
  std::set<std::string> names;  // of channels, given out so far
  // The operator names a meter that cannot be used here.
  bool meter_missing = false;
  // Batteries whose gauges hwmon repeats.
  std::set<std::string> batteries;

  // `label`, or where another channel has that, "label@where".
  std::string Name(absl::string_view label, absl::string_view where);
  // The one rail a source has, which is not known to feed the board.
  void AddLoneRail(const std::string& channel);
};

// A power or energy channel with what every source states.
v1::ChannelInfo PowerChannel(std::string name, v1::Quantity quantity, double scale,
                             double nominal_hz, v1::Scope scope, std::string description);

}  // namespace joulefarm::agent
