#include "agent/power/meter_readings.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/power/found_power.h"

namespace joulefarm::agent {
namespace {

constexpr double kVoltageScale = 1e-4;
constexpr double kVoltageHz = 10;
constexpr std::int64_t kVoltageNs = 100'000'000;
constexpr std::int64_t kPairNs = 100'000'000;
// Of a voltage that is stated without an uncertainty, relative; nobody has verified it.
constexpr double kStatedVoltageU = 0.02;

double RateOf(const MeterModel& model, const MeterSettings& settings) {
  return settings.rate_hz > 0 ? std::min(settings.rate_hz, model.max_rate_hz) : model.max_rate_hz;
}

// The power of ten at or below a resolution, so that people read what is stored.
double ScaleOf(double resolution_w) {
  return std::pow(10, std::floor(std::log10(resolution_w) + 1e-9));
}

std::string TareText(const MeterSettings& settings) {
  std::string text;
  if (settings.tare_a)
    absl::StrAppend(&text, absl::StrFormat(", less a tare of %.4g A", *settings.tare_a));
  if (settings.tare_w)
    absl::StrAppend(&text, absl::StrFormat(", less a tare of %.4g W", *settings.tare_w));
  if (!settings.tare_at.empty()) absl::StrAppend(&text, " taken ", settings.tare_at);
  return text;
}

std::string LatencyText(const MeterSettings& settings) {
  if (!settings.latency) return "";
  return absl::StrFormat(", stamps %.3g ± %.2g ms late as found %s",
                         static_cast<double>(settings.latency->latency_ns) * 1e-6,
                         static_cast<double>(settings.latency->latency_u_ns) * 1e-6,
                         settings.latency->taken_at);
}

// How far the zero may be off, W: what a tare scattered by, or what is stated of the model.
// nullopt: nobody knows.
std::optional<double> OffsetU(const MeterModel& model, const MeterSettings& settings) {
  // A current's, at the voltage it was taken at.
  const std::optional<double> volts =
      settings.tare_w ? 1.0 : (settings.tare_v ? settings.tare_v : settings.supply_v);
  const bool tared = settings.tare_w || settings.tare_a;
  if (!tared || !settings.tare_sd || !volts) return model.offset_u_w;
  // Where all samples were the same, half a count is what they do not show.
  return settings.gain.value_or(1) *
         std::hypot(*settings.tare_sd * *volts, model.resolution_w / std::sqrt(12.0));
}

// Relative, k = 1, of the product with a voltage that nobody measures; 0: it is measured.
double SupplyU(const MeterModel& model, const MeterSettings& settings) {
  if (!model.needs_supply_v || !settings.supply_v || *settings.supply_v <= 0) return 0;
  return settings.supply_u_v ? *settings.supply_u_v / *settings.supply_v : kStatedVoltageU;
}

// nullopt: not known.
std::optional<double> GainU(const MeterModel& model, const MeterSettings& settings) {
  if (!settings.gain_u && model.gain_u <= 0) return std::nullopt;
  return std::hypot(settings.gain_u.value_or(model.gain_u), SupplyU(model, settings));
}

std::string SupplyText(const MeterModel& model, const MeterSettings& settings) {
  const double u = SupplyU(model, settings);
  if (u <= 0) return "";
  return absl::StrFormat(", at %.4g V ± %.2g V, which it does not measure", *settings.supply_v,
                         u * *settings.supply_v);
}

v1::Scope ScopeOf(MeterReach reach) {
  switch (reach) {
    case MeterReach::kBattery:
      return v1::SCOPE_BATTERY;
    case MeterReach::kBoard:
      return v1::SCOPE_BOARD_RAIL;
    case MeterReach::kPackage:
      return v1::SCOPE_PACKAGE;
    case MeterReach::kDevice:
      break;
  }
  return v1::SCOPE_DEVICE;
}

std::int64_t Lasting(std::int64_t ns, double periods, double hz) {
  return ns + (hz > 0 ? static_cast<std::int64_t>(periods * 1e9 / hz) : 0);
}

v1::ChannelInfo Power(const MeterModel& model, const MeterSettings& settings,
                      const std::string& name, const MeterReadings::Source& source) {
  const std::string& title = source.title;
  const double hz = RateOf(model, settings);
  v1::ChannelInfo channel = PowerChannel(
      name, v1::QUANTITY_POWER_W, ScaleOf(model.resolution_w), hz, ScopeOf(model.reach),
      absl::StrCat(title, model.program ? ": what it says" : ": what flows through it",
                   settings.negate ? ", counted the other way" : "", SupplyText(model, settings),
                   TareText(settings), LatencyText(settings)));
  if (const std::optional<double> gain = GainU(model, settings)) channel.set_gain_u(*gain);
  if (const std::optional<double> offset = OffsetU(model, settings)) {
    channel.set_offset_u(*offset);
  } else if (source.provenance == v1::PROVENANCE_SIMULATED) {
    // There is no zero that could be off.
    channel.set_offset_u(0);
  }
  const std::int64_t refresh_ns = Lasting(model.refresh_ns, model.refresh_periods, hz);
  const std::int64_t smoothing_ns = Lasting(model.smoothing_ns, model.smoothing_periods, hz);
  if (refresh_ns > 0) channel.set_refresh_ns(refresh_ns);
  if (smoothing_ns > 0) channel.set_smoothing_ns(smoothing_ns);
  if (settings.latency) {
    channel.set_latency_ns(settings.latency->latency_ns);
    channel.set_latency_u_ns(settings.latency->latency_u_ns);
  } else {
    if (model.latency_ns > 0) channel.set_latency_ns(model.latency_ns);
    if (model.latency_u_ns > 0) channel.set_latency_u_ns(model.latency_u_ns);
  }
  return channel;
}

v1::ChannelInfo Voltage(const MeterModel& model, const MeterSettings& settings,
                        const std::string& name, const std::string& title) {
  return PowerChannel(absl::StrCat(name, ".voltage"), v1::QUANTITY_VOLTAGE_V, kVoltageScale,
                      std::min(kVoltageHz, RateOf(model, settings)), v1::SCOPE_UNSPECIFIED,
                      absl::StrCat(title, ": voltage"));
}

std::int64_t Raw(double value, double scale) {
  return static_cast<std::int64_t>(std::llround(value / scale));
}

}  // namespace

MeterReadings::MeterReadings(const MeterModel& model, MeterSettings settings,
                             const std::string& name, const Source& source)
    : model_(model), settings_(std::move(settings)), rate_hz_(RateOf(model, settings_)) {
  channels_.push_back(agent::Power(model, settings_, name, source));
  if (model.measures_voltage) channels_.push_back(Voltage(model, settings_, name, source.title));
  for (v1::ChannelInfo& channel : channels_) {
    channel.set_provenance(source.provenance);
    channel.set_meter(source.id);
    if (model.own_clock) channel.set_clock(source.id);
    if (model.stamp_bound_ns > 0) channel.set_stamp_bound_ns(model.stamp_bound_ns);
  }
}

void MeterReadings::Restart() {
  restarted_ = true;
  best_.reset();
}

bool MeterReadings::InRange(const MeterSample& sample) const {
  const auto within = [](const std::optional<double>& value, double most) {
    return !value || (std::isfinite(*value) && (most <= 0 || std::abs(*value) <= most));
  };
  return within(sample.voltage_v, model_.max_voltage_v) &&
         within(sample.current_a, model_.max_current_a) &&
         within(sample.power_w, model_.max_voltage_v * model_.max_current_a);
}

std::optional<double> MeterReadings::Power(const MeterSample& sample) const {
  const double sign = settings_.negate ? -1 : 1;
  const std::optional<double> voltage_v = sample.voltage_v ? sample.voltage_v : settings_.supply_v;
  std::optional<double> power_w;
  if (sample.power_w) {
    power_w = sign * *sample.power_w;
  } else if (voltage_v && sample.current_a) {
    power_w = *voltage_v * sign * *sample.current_a;
  }
  if (!power_w) return std::nullopt;
  if (settings_.tare_a) {
    // What it stands for at no voltage is not known: not a reading without its tare.
    if (!voltage_v) return std::nullopt;
    *power_w -= *voltage_v * *settings_.tare_a;
  }
  return settings_.gain.value_or(1) * (*power_w - settings_.tare_w.value_or(0));
}

std::optional<std::int64_t> MeterReadings::Stamp(const MeterBatch& batch, std::size_t i) {
  const MeterSample& sample = batch.samples[i];
  if (model_.own_clock) {
    if (!sample.t_ns) return std::nullopt;
    if (restarted_ && last_ns_) {
      // As much later as it arrived later; that nothing is joined across this is said by its pair.
      const std::int64_t passed_ns = std::max<std::int64_t>(1, batch.arrived_ns - last_arrived_ns_);
      shift_ns_ = *last_ns_ + passed_ns - *sample.t_ns;
    }
    const std::int64_t t_ns = *sample.t_ns + shift_ns_;
    if (last_ns_ && t_ns <= *last_ns_) return std::nullopt;
    return t_ns;
  }
  // Of several that came together, the last is the newest.
  const auto behind = static_cast<std::int64_t>(batch.samples.size() - 1 - i);
  std::int64_t t_ns = batch.arrived_ns;
  if (batch.asked_ns) t_ns = *batch.asked_ns + (batch.arrived_ns - *batch.asked_ns) / 2;
  if (rate_hz_ > 0) t_ns -= behind * static_cast<std::int64_t>(1e9 / rate_hz_);
  // Batches that came late overlap with the one before.
  return last_ns_ ? std::max(t_ns, *last_ns_ + 1) : t_ns;
}

void MeterReadings::Take(const MeterBatch& batch, std::vector<PowerReading>& readings,
                         std::vector<ClockPair>& pairs, std::int64_t& lost) {
  counts_.rejected += batch.rejected;
  if (batch.clock_stepped) Restart();
  std::int64_t missing = batch.lost;
  for (std::size_t i = 0; i < batch.samples.size(); ++i) {
    const MeterSample& sample = batch.samples[i];
    const std::optional<double> power_w = InRange(sample) ? Power(sample) : std::nullopt;
    if (!power_w) {
      ++counts_.out_of_range;
      ++missing;
      continue;
    }
    const std::optional<std::int64_t> t_ns = Stamp(batch, i);
    if (!t_ns) {
      ++counts_.out_of_order;
      ++missing;
      continue;
    }
    last_ns_ = t_ns;
    last_arrived_ns_ = batch.arrived_ns;
    std::optional<std::int64_t> arrived_ns;
    if (model_.own_clock) {
      arrived_ns = batch.arrived_ns;
      Pair(batch, *t_ns, pairs);
    }
    restarted_ = false;
    const std::int64_t raw = Raw(*power_w, channels_[kPower].scale());
    if (counts_.samples == 0) AddParts(sample);
    readings.push_back({kPower, *t_ns, raw, arrived_ns});
    ReadParts(sample, *t_ns, readings);
    ++counts_.samples;
    CountDistinct(*t_ns, raw);
    if (model_.measures_voltage && sample.voltage_v &&
        (!voltage_ns_ || *t_ns - *voltage_ns_ >= kVoltageNs)) {
      voltage_ns_ = t_ns;
      readings.push_back({kVoltage, *t_ns, Raw(*sample.voltage_v, kVoltageScale), arrived_ns});
    }
  }
  if (batch.asked_ns && !batch.samples.empty()) {
    const std::int64_t half_ns = (batch.arrived_ns - *batch.asked_ns + 1) / 2;
    counts_.half_round_trip_ns = std::max(counts_.half_round_trip_ns.value_or(0), half_ns);
  }
  counts_.lost += missing;
  lost += missing;
}

void MeterReadings::AddParts(const MeterSample& sample) {
  const v1::ChannelInfo whole = channels_[kPower];
  for (const auto& [part, power_w] : sample.parts) {
    v1::ChannelInfo channel = whole;
    channel.set_name(absl::StrCat(whole.name(), ".", part));
    channel.set_parent(whole.name());
    channel.set_description(absl::StrCat(part, ", a part of ", whole.name()));
    // A tare of the whole says nothing of a part's zero.
    channel.clear_offset_u();
    parts_.emplace_back(part, static_cast<int>(channels_.size()));
    channels_.push_back(std::move(channel));
  }
}

void MeterReadings::ReadParts(const MeterSample& sample, std::int64_t t_ns,
                              std::vector<PowerReading>& readings) const {
  const double gain = (settings_.negate ? -1 : 1) * settings_.gain.value_or(1);
  for (const auto& part : sample.parts) {
    const auto known = std::find_if(parts_.begin(), parts_.end(),
                                    [&](const auto& of) { return of.first == part.first; });
    if (known == parts_.end()) continue;
    const double scale = channels_[static_cast<std::size_t>(known->second)].scale();
    readings.push_back({known->second, t_ns, Raw(gain * part.second, scale)});
  }
}

void MeterReadings::CountDistinct(std::int64_t t_ns, std::int64_t raw) {
  if (!last_raw_) {
    first_counted_ns_ = t_ns;
  } else {
    if (raw != *last_raw_) ++distinct_;
    counts_.distinct_hz =
        static_cast<double>(distinct_) / (static_cast<double>(t_ns - first_counted_ns_) * 1e-9);
  }
  last_raw_ = raw;
}

void MeterReadings::Pair(const MeterBatch& batch, std::int64_t tick_ns,
                         std::vector<ClockPair>& pairs) {
  const ClockPair pair = {tick_ns, batch.asked_ns, batch.arrived_ns, restarted_};
  if (pair.restarted) {
    // The first after a restart is a border, whenever it came.
    pairs.push_back(pair);
    window_ns_ = batch.arrived_ns;
    return;
  }
  if (best_ && batch.arrived_ns - window_ns_ >= kPairNs) pairs.push_back(*std::exchange(best_, {}));
  if (!best_) {
    if (batch.arrived_ns - window_ns_ >= kPairNs) window_ns_ = batch.arrived_ns;
    best_ = pair;
  } else if (pair.arrived_ns - pair.tick_ns < best_->arrived_ns - best_->tick_ns) {
    best_ = pair;
  }
}

}  // namespace joulefarm::agent
