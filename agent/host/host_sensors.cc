#include "agent/host/host_sensors.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/host/measured_channel.h"
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

// Processors and GPUs that are slowed down to cool; not fans, screens and radios.
bool SlowsProcessors(const std::string& type) {
  const std::string lower = absl::AsciiStrToLower(type);
  if (absl::StrContains(lower, "fan")) return false;
  for (const char* word : {"processor", "cpu", "gpu", "devfreq", "powerclamp", "throttle"}) {
    if (absl::StrContains(lower, word)) return true;
  }
  return false;
}

}  // namespace

HostSensors::HostSensors(const HostPaths& paths, double nominal_hz) {
  FindZones(paths, nominal_hz);
  FindChips(paths, nominal_hz);
  FindClocks(paths, nominal_hz);
  FindThrottling(paths, nominal_hz);
  FindBatteries(paths, nominal_hz);
}

void HostSensors::Offer(Sensor sensor, v1::ChannelInfo channel) {
  for (const std::filesystem::path& file : sensor.files) {
    const absl::Status readable = ReadSysfsNumber(file).status();
    if (absl::IsNotFound(readable) || absl::IsPermissionDenied(readable)) return;
  }
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
    Offer({{zone.entry.path / "temp"}, kColdestMilliC, kHottestMilliC},
          MeasuredChannel(name, v1::QUANTITY_TEMPERATURE_C, kMilli, nominal_hz,
                          absl::StrCat("thermal zone ", zone.entry.number, ", ", zone.type)));
  }
}

void HostSensors::FindClocks(const HostPaths& paths, double nominal_hz) {
  for (const Numbered& policy :
       ListNumbered(paths.Under("sys/devices/system/cpu/cpufreq"), "policy")) {
    Offer({{policy.path / "scaling_cur_freq"}, 1, kFastestKhz},
          MeasuredChannel(absl::StrCat("cpu_freq.", policy.number), v1::QUANTITY_FREQUENCY_HZ,
                          kKilo, nominal_hz,
                          absl::StrCat("scaling_cur_freq of cpufreq policy ", policy.number)));
  }
}

// AMD's processors have no thermal zone of their own.
void HostSensors::FindChips(const HostPaths& paths, double nominal_hz) {
  for (const Numbered& chip : ListNumbered(paths.Under("sys/class/hwmon"), "hwmon")) {
    const std::string name = ReadSysfsText(chip.path / "name").value_or("");
    if (name != "k10temp" && name != "zenpower") continue;
    const bool again = std::any_of(channels_.begin(), channels_.end(), [&](const auto& channel) {
      return channel.name() == absl::StrCat("temp.", name);
    });
    Offer({{chip.path / "temp1_input"}, kColdestMilliC, kHottestMilliC},
          MeasuredChannel(
              again ? absl::StrCat("temp.", name, ".", chip.number) : absl::StrCat("temp.", name),
              v1::QUANTITY_TEMPERATURE_C, kMilli, nominal_hz,
              absl::StrCat("hwmon ", name, ", temp1")));
  }
}

void HostSensors::FindThrottling(const HostPaths& paths, double nominal_hz) {
  Sensor counts{{}, 0, std::numeric_limits<std::int64_t>::max()};
  for (const Numbered& cpu : ListNumbered(paths.Under("sys/devices/system/cpu"), "cpu")) {
    for (const char* name : {"core_throttle_count", "package_throttle_count"}) {
      std::filesystem::path file = cpu.path / "thermal_throttle" / name;
      if (ReadSysfsNumber(file).ok()) counts.files.push_back(std::move(file));
    }
  }
  if (!counts.files.empty()) {
    Offer(std::move(counts),
          MeasuredChannel(
              "throttle.cpu", v1::QUANTITY_COUNT, 1, nominal_hz,
              "sum of the thermal throttle counts of all cores and, once per core, of their "
              "packages, since boot"));
  }
  for (const Numbered& device : ListNumbered(paths.Under("sys/class/thermal"), "cooling_device")) {
    const absl::StatusOr<std::string> type = ReadSysfsText(device.path / "type");
    if (!type.ok() || !SlowsProcessors(*type)) continue;
    Offer({{device.path / "cur_state"}, 0, std::numeric_limits<std::int64_t>::max()},
          MeasuredChannel(absl::StrCat("cooling.", *type, ".", device.number), v1::QUANTITY_COUNT,
                          1, nominal_hz,
                          absl::StrCat("state of cooling device ", device.number, ", ", *type,
                                       "; 0: not slowed down")));
  }
}

void HostSensors::FindBatteries(const HostPaths& paths, double nominal_hz) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(paths.Under("sys/class/power_supply"), error), end;
       !error && it != end; it.increment(error)) {
    const std::filesystem::path& dir = it->path();
    if (ReadSysfsText(dir / "type").value_or("") != "Battery") continue;
    if (ReadSysfsText(dir / "scope").value_or("") == "Device") continue;
    const std::string name = dir.filename().string();
    Offer(
        {{dir / "capacity"}, 0, 100},
        MeasuredChannel(absl::StrCat("battery_pct.", name), v1::QUANTITY_PERCENT, 1, nominal_hz,
                        absl::StrCat("charge of ", name, ", per cent of full, as its gauge says")));
  }
}

std::optional<std::int64_t> HostSensors::ReadSensor(const Sensor& sensor) {
  std::int64_t sum = 0;
  for (const std::filesystem::path& file : sensor.files) {
    const absl::StatusOr<std::int64_t> raw = ReadSysfsNumber(file);
    if (!raw.ok() || *raw < sensor.lowest || *raw > sensor.highest) return std::nullopt;
    sum += *raw;
  }
  return sum;
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
