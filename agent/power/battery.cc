#include "agent/power/battery.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/host/sysfs.h"
#include "agent/power/polled_power.h"

namespace joulefarm::agent {
namespace {

namespace fs = std::filesystem;

constexpr double kMicro = 1e-6;
// Gauges refresh every 1 to 60 s; asking one more often than this costs the embedded controller's
// time.
constexpr double kHz = 1;
constexpr char kDischarging[] = "Discharging";

std::string Text(const fs::path& file) { return ReadSysfsText(file).value_or(""); }

std::vector<fs::path> ListBatteries(const HostPaths& paths) {
  std::vector<fs::path> dirs;
  std::error_code error;
  for (fs::directory_iterator it(paths.Under("sys/class/power_supply"), error), end;
       !error && it != end; it.increment(error)) {
    const fs::path& dir = it->path();
    if (Text(dir / "type") != "Battery" || Text(dir / "scope") == "Device") continue;
    if (Text(dir / "present") == "0") continue;
    dirs.push_back(dir);
  }
  std::sort(dirs.begin(), dirs.end());
  return dirs;
}

// Power as the driver says, uW, of either sign.
absl::StatusOr<std::int64_t> DriverPower(const fs::path& dir) {
  absl::StatusOr<std::int64_t> power = ReadSysfsNumber(dir / "power_now");
  if (power.ok() || !(absl::IsNotFound(power.status()) || absl::IsDataLoss(power.status())))
    return power;
  const absl::StatusOr<std::int64_t> current = ReadSysfsNumber(dir / "current_now");
  if (!current.ok()) return current.status();
  const absl::StatusOr<std::int64_t> voltage = ReadSysfsNumber(dir / "voltage_now");
  if (!voltage.ok()) return voltage.status();
  return std::llround(static_cast<double>(*current) * static_cast<double>(*voltage) * kMicro);
}

v1::ChannelInfo Channel(std::string name, std::string description) {
  // Gauges do not state how far their gain is off, so nothing is said of it.
  return PowerChannel(std::move(name), v1::QUANTITY_POWER_W, kMicro, kHz, v1::SCOPE_BATTERY,
                      std::move(description));
}

}  // namespace

absl::StatusOr<std::int64_t> ReadBatteryPower(const fs::path& dir) {
  const absl::StatusOr<std::string> status = ReadSysfsText(dir / "status");
  if (!status.ok()) return status.status();
  const absl::StatusOr<std::int64_t> power = DriverPower(dir);
  if (!power.ok()) return power.status();
  if (*status == kDischarging) return std::abs(*power);
  if (*status == "Charging") return -std::abs(*power);
  if (*power <= 0) return -*power;
  return absl::UnavailableError(absl::StrCat(dir.string(), " is ", *status, " at ", *power,
                                             " uW, which does not say in which direction"));
}

void FindBatteries(const HostPaths& paths, FoundPower& found) {
  auto source = std::make_unique<PolledPower>("battery");
  std::vector<int> channels;
  std::vector<std::string> names;
  bool draining = false;
  std::vector<std::string> states;
  for (const fs::path& dir : ListBatteries(paths)) {
    const std::string battery = dir.filename().string();
    found.batteries.insert(battery);
    const std::string status = Text(dir / "status");
    const absl::StatusOr<std::int64_t> power = ReadBatteryPower(dir);
    const absl::Status driver = DriverPower(dir).status();
    if (!driver.ok() || status.empty()) {
      found.obstacles.push_back(absl::StrCat(
          "battery ", battery, ": ",
          driver.ok() ? "it does not say whether it is discharging" : driver.message()));
      continue;
    }
    draining = draining || (status == kDischarging && power.ok());
    states.push_back(absl::StrCat(battery, " is ", status));
    const std::string name = found.Name(battery, "power_supply");
    channels.push_back(source->Add(
        Channel(name,
                absl::StrCat("fuel gauge of ", battery,
                             "; positive: out of the battery; gauges refresh every 1 to 60 s")),
        [dir] { return ReadBatteryPower(dir); }));
    names.push_back(name);
  }
  if (names.empty()) return;
  std::string whole = names[0];
  if (names.size() > 1) {
    whole = found.Name("batteries", "power_supply");
    source->AddSum(Channel(whole, absl::StrCat("sum of ", absl::StrJoin(names, " + "))), channels);
    for (const int channel : channels) source->SetParent(channel, whole);
  }
  if (draining) {
    found.totals.push_back({whole, Width::kBattery});
  } else {
    found.obstacles.push_back(absl::StrCat(
        absl::StrJoin(states, ", "),
        ": a battery shows what the device draws only while it feeds it; unplug the charger"));
  }
  found.sources.push_back(std::move(source));
}

}  // namespace joulefarm::agent
