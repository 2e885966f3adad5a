#include "agent/host/host_sensors.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/host/sysfs.h"

namespace joulefarm::agent {
namespace {

constexpr double kMilli = 1e-3;
constexpr double kKilo = 1e3;
// Drivers say -256000 of a zone that is switched off, -44000 or 255000 of one that does not exist.
constexpr std::int64_t kColdestMilliC = -40'000;
constexpr std::int64_t kHottestMilliC = 150'000;
constexpr std::int64_t kFastestKhz = 20'000'000;
// A constant on Tegra boards, not a temperature.
constexpr char kNoTemperature[] = "PMIC-Die";

v1::ChannelInfo Channel(std::string name, v1::Quantity quantity, double scale, double nominal_hz,
                        std::string description) {
  v1::ChannelInfo channel;
  channel.set_name(std::move(name));
  channel.set_quantity(quantity);
  channel.set_scale(scale);
  channel.set_nominal_hz(nominal_hz);
  channel.set_provenance(v1::PROVENANCE_MEASURED);
  channel.set_description(std::move(description));
  return channel;
}

}  // namespace

HostSensors::HostSensors(const HostPaths& paths, double nominal_hz) {
  FindZones(paths, nominal_hz);
  FindClocks(paths, nominal_hz);
}

void HostSensors::Offer(Sensor sensor, v1::ChannelInfo channel) {
  const absl::Status readable = ReadSysfsNumber(sensor.file).status();
  if (absl::IsNotFound(readable) || absl::IsPermissionDenied(readable)) return;
  sensors_.push_back(std::move(sensor));
  channels_.push_back(std::move(channel));
}

void HostSensors::FindZones(const HostPaths& paths, double nominal_hz) {
  struct Zone {
    Numbered entry;
    std::string type;
  };
  std::vector<Zone> zones;
  std::map<std::string, int> uses;
  // A tree somebody sent may lack the links of the class.
  std::vector<Numbered> entries = ListNumbered(paths.Under("sys/class/thermal"), "thermal_zone");
  if (entries.empty())
    entries = ListNumbered(paths.Under("sys/devices/virtual/thermal"), "thermal_zone");
  for (Numbered& entry : entries) {
    absl::StatusOr<std::string> type = ReadSysfsText(entry.path / "type");
    if (!type.ok() || type->empty() || *type == kNoTemperature) continue;
    ++uses[*type];
    zones.push_back({std::move(entry), *std::move(type)});
  }
  for (const Zone& zone : zones) {
    // Zones may share their name.
    const std::string name = uses[zone.type] == 1
                                 ? absl::StrCat("temp.", zone.type)
                                 : absl::StrCat("temp.", zone.type, ".", zone.entry.number);
    Offer({zone.entry.path / "temp", kColdestMilliC, kHottestMilliC},
          Channel(name, v1::QUANTITY_TEMPERATURE_C, kMilli, nominal_hz,
                  absl::StrCat("thermal zone ", zone.entry.number, ", ", zone.type)));
  }
}

void HostSensors::FindClocks(const HostPaths& paths, double nominal_hz) {
  for (const Numbered& policy :
       ListNumbered(paths.Under("sys/devices/system/cpu/cpufreq"), "policy")) {
    Offer({policy.path / "scaling_cur_freq", 1, kFastestKhz},
          Channel(absl::StrCat("cpu_freq.", policy.number), v1::QUANTITY_FREQUENCY_HZ, kKilo,
                  nominal_hz, absl::StrCat("scaling_cur_freq of cpufreq policy ", policy.number)));
  }
}

std::optional<std::int64_t> HostSensors::ReadSensor(const Sensor& sensor) {
  const absl::StatusOr<std::int64_t> raw = ReadSysfsNumber(sensor.file);
  if (!raw.ok() || *raw < sensor.lowest || *raw > sensor.highest) return std::nullopt;
  return *raw;
}

void HostSensors::Read(const std::function<void(std::size_t channel, std::int64_t raw)>& take) {
  hottest_c_.reset();
  fastest_hz_.reset();
  for (std::size_t i = 0; i < sensors_.size(); ++i) {
    const std::optional<std::int64_t> raw = ReadSensor(sensors_[i]);
    if (!raw) continue;
    const double value = static_cast<double>(*raw) * channels_[i].scale();
    if (channels_[i].quantity() == v1::QUANTITY_TEMPERATURE_C) {
      hottest_c_ = std::max(hottest_c_.value_or(value), value);
    } else if (channels_[i].quantity() == v1::QUANTITY_FREQUENCY_HZ) {
      fastest_hz_ = std::max(fastest_hz_.value_or(value), value);
    }
    take(i, *raw);
  }
}

}  // namespace joulefarm::agent
