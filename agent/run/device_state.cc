#include "agent/run/device_state.h"

#include <algorithm>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/host/sysfs.h"
#include "agent/process/proc_stat.h"

namespace joulefarm::agent {
namespace {

constexpr absl::string_view kZonePrefix = "temp.";

std::optional<double> Number(const std::filesystem::path& file) {
  const absl::StatusOr<std::int64_t> number = ReadSysfsNumber(file);
  if (!number.ok()) return std::nullopt;
  return static_cast<double>(*number);
}

std::string Text(const std::filesystem::path& file) {
  const absl::StatusOr<std::string> text = ReadSysfsText(file);
  return text.ok() ? *text : std::string();
}

// Some gauges only say how much is in the battery and how much would be.
std::optional<double> ChargePercent(const std::filesystem::path& battery) {
  if (const std::optional<double> percent = Number(battery / "capacity")) return percent;
  for (const char* quantity : {"charge", "energy"}) {
    const std::optional<double> now = Number(battery / absl::StrCat(quantity, "_now"));
    const std::optional<double> full = Number(battery / absl::StrCat(quantity, "_full"));
    if (now && full && *full > 0) return *now / *full * 100;
  }
  return std::nullopt;
}

std::optional<bool> Charging(const std::string& status) {
  if (status == "Charging") return true;
  if (status == "Discharging" || status == "Not charging" || status == "Full") return false;
  return std::nullopt;
}

std::vector<std::filesystem::path> Entries(const std::filesystem::path& dir) {
  std::vector<std::filesystem::path> entries;
  std::error_code error;
  for (std::filesystem::directory_iterator it(dir, error), end; !error && it != end;
       it.increment(error)) {
    entries.push_back(it->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

std::vector<DeviceState::Battery> Batteries(const HostPaths& paths) {
  std::vector<DeviceState::Battery> batteries;
  for (const std::filesystem::path& supply : Entries(paths.Under("sys/class/power_supply"))) {
    // Scope Device is the battery of a mouse or the like.
    if (Text(supply / "type") != "Battery" || Text(supply / "scope") == "Device") continue;
    if (Number(supply / "present") == 0.0) continue;
    batteries.push_back(
        {supply.filename().string(), ChargePercent(supply), Charging(Text(supply / "status"))});
  }
  return batteries;
}

std::optional<std::int64_t> AvailableBytes(const HostPaths& paths) {
  const std::optional<std::string> meminfo = ReadSmallFile(paths.proc() / "meminfo");
  if (!meminfo) return std::nullopt;
  for (absl::string_view line : absl::StrSplit(*meminfo, '\n')) {
    std::int64_t kib = 0;
    if (!absl::ConsumePrefix(&line, "MemAvailable:") || !absl::ConsumeSuffix(&line, "kB")) continue;
    if (absl::SimpleAtoi(line, &kib)) return kib * 1024;
  }
  return std::nullopt;
}

// Every core counts the events of its package; cores of one package count the same ones.
void AddThrottles(const HostPaths& paths, std::vector<DeviceState::Count>& throttles) {
  std::map<std::string, std::int64_t> counts;
  for (const Numbered& cpu : ListNumbered(paths.Under("sys/devices/system/cpu"), "cpu")) {
    const std::filesystem::path throttle = cpu.path / "thermal_throttle";
    const absl::StatusOr<std::int64_t> core = ReadSysfsNumber(throttle / "core_throttle_count");
    if (core.ok()) counts["core"] += *core;
    const absl::StatusOr<std::int64_t> package =
        ReadSysfsNumber(throttle / "package_throttle_count");
    if (package.ok()) {
      std::int64_t& count = counts["package"];
      count = std::max(count, *package);
    }
  }
  // Over-current events of Tegra boards.
  for (const Numbered& hwmon : ListNumbered(paths.Under("sys/class/hwmon"), "hwmon")) {
    for (const std::filesystem::path& file : Entries(hwmon.path)) {
      const std::string name = file.filename().string();
      if (!absl::StartsWith(name, "oc") || !absl::EndsWith(name, "_event_cnt")) continue;
      const absl::StatusOr<std::int64_t> count = ReadSysfsNumber(file);
      if (count.ok()) counts[name.substr(0, name.find('_'))] += *count;
    }
  }
  for (const auto& [name, count] : counts) throttles.push_back({name, count});
}

}  // namespace

DeviceStateReader::DeviceStateReader(HostPaths paths)
    : paths_(std::move(paths)), sensors_(paths_, 1), last_times_(ReadCpuTimes(paths_)) {}

DeviceState DeviceStateReader::Read() {
  DeviceState device;
  const std::vector<v1::ChannelInfo>& channels = sensors_.channels();
  sensors_.Read([&](std::size_t i, std::int64_t raw) {
    if (channels[i].quantity() != v1::QUANTITY_TEMPERATURE_C) return;
    absl::string_view name = channels[i].name();
    absl::ConsumePrefix(&name, kZonePrefix);
    device.zones.push_back({std::string(name), static_cast<double>(raw) * channels[i].scale()});
  });
  device.batteries = Batteries(paths_);
  device.available_bytes = AvailableBytes(paths_);
  AddThrottles(paths_, device.throttles);
  const std::optional<CpuTimes> times = ReadCpuTimes(paths_);
  if (times && last_times_) device.background_cpu = BusyShare(*last_times_, *times);
  last_times_ = times;
  return device;
}

}  // namespace joulefarm::agent
