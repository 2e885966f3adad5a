// What lies between a meter and the device it measures: a cable, or the device's own battery.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/measure/energy.h"
#include "common/measure/energy_parts.h"

namespace joulefarm {
namespace {

constexpr double kMostCable = 0.01;

std::optional<double> Hypot(const std::optional<double>& a, const std::optional<double>& b) {
  if (!a && !b) return std::nullopt;
  return std::hypot(a.value_or(0), b.value_or(0));
}

}  // namespace

void AddCable(double ohm, double volts, Energy& energy) {
  if (!energy.energy_j || !energy.w2_s || !(volts > 0)) return;
  const double cable_j = ohm * *energy.w2_s / (volts * volts);
  energy.parts.cable_j = cable_j;
  SumParts(energy);
  if (cable_j <= kMostCable * std::abs(*energy.energy_j)) return;
  const double share = *energy.energy_j == 0 ? 1 : cable_j / std::abs(*energy.energy_j);
  AddFinding(energy.findings,
             MakeFinding(Code::kCable, absl::StrCat(Percent(share), ">", Percent(kMostCable))));
}

Energy WithBattery(const Energy& supply, const Energy& battery) {
  Energy energy;
  energy.duration_s = supply.duration_s;
  energy.findings = supply.findings;
  AddFindings(energy.findings, battery.findings);
  if (!supply.energy_j || !battery.energy_j) return energy;
  energy.energy_j = *supply.energy_j + *battery.energy_j;
  if (energy.duration_s > 0) energy.mean_w = *energy.energy_j / energy.duration_s;
  // Two instruments: their errors have nothing to do with each other.
  if (supply.parts.gain_j && battery.parts.gain_j)
    energy.parts.gain_j = Hypot(supply.parts.gain_j, battery.parts.gain_j);
  energy.parts.offset_j = Hypot(supply.parts.offset_j, battery.parts.offset_j);
  energy.parts.offset_unknown = supply.parts.offset_unknown || battery.parts.offset_unknown;
  energy.parts.clock_j = Hypot(supply.parts.clock_j, battery.parts.clock_j);
  energy.parts.counter_j = Hypot(supply.parts.counter_j, battery.parts.counter_j);
  energy.parts.gap_j = Hypot(supply.parts.gap_j, battery.parts.gap_j);
  energy.parts.cable_j = supply.parts.cable_j;
  SumParts(energy);
  AddFinding(energy.findings,
             MakeFinding(Code::kBatteryCorrected, absl::StrFormat("%+.3g J", *battery.energy_j)));
  return energy;
}

}  // namespace joulefarm
