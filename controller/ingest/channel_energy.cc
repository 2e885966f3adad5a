#include "controller/ingest/channel_energy.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/ingest/power_blocks.h"

namespace joulefarm::controller {
namespace {

constexpr std::size_t kFewestChanges = 4;
constexpr char kVoltageSuffix[] = ".voltage";
constexpr char kSensedAtMeter[] = "meter";
constexpr char kInlineBattery[] = "inline_battery_present";

// From the instant a value is about to its stamp: what the source is late by, and half of what it
// averages over.
std::int64_t DelayOf(const v1::ChannelInfo& info) {
  return info.latency_ns() + std::max<std::int64_t>(0, info.smoothing_ns()) / 2;
}

// The usual time between changes of what the samples say; where they change too seldom to tell, the
// longest they stayed the same. Absent: they never changed.
std::optional<std::int64_t> HoldOf(const PowerTrace& trace) {
  std::vector<std::int64_t> changes;
  for (std::size_t i = 1; i < trace.t_ns.size(); ++i) {
    if (trace.power_w[i] != trace.power_w[i - 1]) changes.push_back(trace.t_ns[i]);
  }
  if (changes.empty()) return std::nullopt;
  if (changes.size() < kFewestChanges) {
    std::int64_t longest_ns = 0;
    std::int64_t since_ns = trace.t_ns.front();
    changes.push_back(trace.t_ns.back());
    for (const std::int64_t change_ns : changes)
      longest_ns = std::max(longest_ns, change_ns - std::exchange(since_ns, change_ns));
    return longest_ns;
  }
  std::vector<std::int64_t> between(changes.size() - 1);
  std::transform(changes.begin() + 1, changes.end(), changes.begin(), between.begin(),
                 std::minus<>());
  const auto middle = between.begin() + static_cast<std::ptrdiff_t>(between.size() / 2);
  std::nth_element(between.begin(), middle, between.end());
  return *middle;
}

// What such a meter sees is the charger, whose power the battery takes or adds to.
bool BatteryInPath(const AttemptView& view, const v1::ChannelInfo& info) {
  return view.power_path == kInlineBattery && info.scope() == v1::SCOPE_DEVICE &&
         info.provenance() != v1::PROVENANCE_ESTIMATED &&
         info.provenance() != v1::PROVENANCE_MODELLED;
}

// The one gauge that says what the device's battery gives; null where there is none or several that
// nobody adds up.
const ChannelView* BatteryOf(const AttemptView& view, const v1::ChannelInfo& device) {
  const ChannelView* found = nullptr;
  for (const ChannelView& channel : view.channels) {
    const v1::ChannelInfo& info = channel.info;
    if (info.scope() != v1::SCOPE_BATTERY || info.quantity() != v1::QUANTITY_POWER_W ||
        !info.parent().empty() || info.provenance() != device.provenance())
      continue;
    if (found != nullptr) return nullptr;
    found = &channel;
  }
  return found;
}

const ChannelView* VoltageOf(const AttemptView& view, const ChannelView& power) {
  const std::string name = absl::StrCat(power.info.name(), kVoltageSuffix);
  for (const ChannelView& channel : view.channels) {
    if (channel.info.name() == name && channel.source == power.source &&
        channel.info.quantity() == v1::QUANTITY_VOLTAGE_V)
      return &channel;
  }
  return nullptr;
}

double CableOhm(const AttemptView& view, const v1::ChannelInfo& info) {
  const auto meter = view.meters.find(info.meter());
  if (info.meter().empty() || meter == view.meters.end() || info.scope() != v1::SCOPE_DEVICE)
    return 0;
  return meter->second.sense_point() == kSensedAtMeter ? meter->second.cable_ohm() : 0;
}

}  // namespace

std::int64_t StampBound(const v1::ChannelInfo& info) {
  return std::max<std::int64_t>(0, info.stamp_bound_ns()) +
         std::max<std::int64_t>(0, info.latency_u_ns());
}

ChannelIntegrator::ChannelIntegrator(const ChannelView& channel, Summaries summaries)
    : clock_bound_ns_(channel.clock_bound_ns + StampBound(channel.info)) {
  const v1::ChannelInfo& info = channel.info;
  if (info.has_gain_u()) errors_.gain_u = info.gain_u();
  if (info.has_offset_u()) errors_.offset_u_w = info.offset_u();
  errors_.clock_bound_ns = clock_bound_ns_;
  errors_.clock_rate = channel.clock_rate;
  if (info.quantity() == v1::QUANTITY_ENERGY_COUNTER_J) {
    ChannelTrace trace = DecodeChannel(channel);
    damaged_ = trace.damaged;
    for (std::int64_t& t_ns : trace.samples.t_ns) t_ns -= DelayOf(info);
    const auto wrap =
        info.has_wrap_raw() ? std::optional<std::int64_t>(info.wrap_raw()) : std::nullopt;
    readings_ = MakeCounterTrace(trace.samples.t_ns, trace.samples.raw, info.scale(), wrap,
                                 info.refresh_ns());
    readings_->errors = errors_;
    return;
  }
  blocks_ = std::make_unique<PowerBlocks>(channel, DelayOf(info), summaries);
  hold_ns_ = std::max<std::int64_t>({0, info.refresh_ns(), info.smoothing_ns()});
  // How slowly a gauge refreshes shows only in what it says. Of other samples unchanged ones are
  // those of a load that does not change.
  if (info.scope() != v1::SCOPE_BATTERY) return;
  gauge_ = blocks_->All();
  const std::optional<std::int64_t> hold_ns = HoldOf(*gauge_);
  hold_ns_ = std::max(hold_ns_, hold_ns.value_or(0));
  gauge_->never_refreshed = !hold_ns;
}

ChannelIntegrator::~ChannelIntegrator() = default;

PowerTrace ChannelIntegrator::Trace(const std::vector<Interval>& parts, std::int64_t reach_ns) {
  return gauge_ ? *gauge_ : blocks_->Around(parts, reach_ns);
}

Energy ChannelIntegrator::Integrate(const std::vector<Interval>& parts, std::int64_t bound_ns,
                                    double beside_j) {
  const std::int64_t clock_bound_ns = clock_bound_ns_ + bound_ns;
  if (readings_) {
    readings_->errors.clock_bound_ns = clock_bound_ns;
    return IntegrateCounter(*readings_, parts);
  }
  PowerTrace trace = Trace(parts, std::max(clock_bound_ns, hold_ns_));
  trace.hold_ns = hold_ns_;
  trace.errors = errors_;
  trace.errors.clock_bound_ns = clock_bound_ns;
  return IntegratePower(trace, parts, beside_j);
}

Interval ChannelIntegrator::CoveredTime() const {
  if (!readings_) return blocks_->CoveredTime();
  CounterTrace ends = *readings_;
  ends.errors.clock_bound_ns = clock_bound_ns_;
  return Covered(ends);
}

int ChannelIntegrator::damaged() const { return blocks_ ? blocks_->damaged() : damaged_; }

ChannelEnergy::ChannelEnergy(const AttemptView& view, const ChannelView& channel,
                             Summaries summaries)
    : supply_(channel, summaries),
      cable_ohm_(CableOhm(view, channel.info)),
      battery_in_path_(BatteryInPath(view, channel.info)) {
  if (const ChannelView* voltage = VoltageOf(view, channel)) voltage_.emplace(*voltage, summaries);
  if (!battery_in_path_) return;
  if (const ChannelView* battery = BatteryOf(view, channel.info)) {
    battery_.emplace(*battery, summaries);
    battery_name_ = battery->info.name();
  }
}

// Read more seldom than the power, its last value may come before the power's last.
std::optional<double> ChannelEnergy::MeanVoltage(std::vector<Interval> parts) {
  const Interval covered = voltage_->CoveredTime();
  for (Interval& part : parts) {
    part.start_ns = std::clamp(part.start_ns, covered.start_ns, covered.end_ns);
    part.end_ns = std::clamp(part.end_ns, covered.start_ns, covered.end_ns);
  }
  return voltage_->Integrate(parts, 0).mean_w;
}

ChannelEnergy::Of ChannelEnergy::Integrate(const std::vector<Interval>& parts,
                                           std::int64_t bound_ns) {
  Of of;
  of.energy = supply_.Integrate(parts, bound_ns);
  if (voltage_) of.mean_v = MeanVoltage(parts);
  if (cable_ohm_ > 0 && of.mean_v) AddCable(cable_ohm_, *of.mean_v, of.energy);
  if (!battery_in_path_) return of;
  std::string why = "no gauge";
  if (battery_) {
    const Energy battery = battery_->Integrate(parts, bound_ns, of.energy.energy_j.value_or(0));
    if (battery.energy_j || !of.energy.energy_j) {
      of.energy = WithBattery(of.energy, battery);
      return of;
    }
    why = absl::StrCat(battery_name_, ": ", Text(battery.findings.front()));
  }
  of.uncorrected = battery_.has_value();
  AddFinding(of.energy.findings, MakeFinding(Code::kBatteryInPath, why));
  return of;
}

}  // namespace joulefarm::controller
