#include "agent/power/hwmon_power.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/host/sysfs.h"
#include "agent/power/chip_refresh.h"
#include "agent/power/polled_power.h"

namespace joulefarm::agent {
namespace {

namespace fs = std::filesystem;

constexpr double kMicro = 1e-6;
constexpr double kHz = 20;
constexpr double kAverageHz = 10;
constexpr std::int64_t kNsPerMs = 1'000'000;
// Of averages whose driver does not say over how long (amdgpu): longer than any known.
constexpr std::int64_t kAverageMs = 1000;
constexpr int kMostInputs = 32;

struct Chip {
  std::string name;   // of its driver
  std::string place;  // "4-0040"; hwmon numbers change from boot to boot
  fs::path dir;
};

struct Input {
  std::string label;
  std::string what;
  double hz = kHz;
  std::int64_t refresh_ns = 0;
  PolledPower::Reader read;
};

std::string Place(const Numbered& hwmon) {
  std::error_code error;
  const fs::path device = fs::canonical(hwmon.path / "device", error);
  return error ? hwmon.path.filename().string() : device.filename().string();
}

v1::Scope ScopeOf(const std::string& chip) {
  static const auto& kWhole = *new std::set<std::string>{"power_meter"};
  static const auto& kPackages =
      *new std::set<std::string>{"amdgpu", "radeon", "nouveau", "i915", "xe", "fam15h_power"};
  if (kWhole.contains(chip)) return v1::SCOPE_DEVICE;
  return kPackages.contains(chip) ? v1::SCOPE_PACKAGE : v1::SCOPE_BOARD_RAIL;
}

// Sensors whose bus voltage and current belong together: shunt in in0, bus in in1, curr1.
bool MeasuresPairs(const std::string& chip) {
  return absl::StartsWith(chip, "ina2") || absl::StartsWith(chip, "ltc");
}

// How long a chip converts and averages as the kernel's driver sets it up, of those whose driver
// may not say: INA219 12 bits once, 0.53 ms each for shunt and bus; INA226 16 times twice 1.1 ms;
// INA238 16 times three times 1.052 ms.
std::optional<double> KnownCycleMs(const std::string& chip) {
  static const auto& kCycles = *new std::map<std::string, double>{
      {"ina219", 1.1},  {"ina220", 1.1},  {"ina226", 35.2}, {"ina230", 35.2},
      {"ina231", 35.2}, {"ina237", 50.5}, {"ina238", 50.5}};
  const auto known = kCycles.find(chip);
  return known == kCycles.end() ? std::nullopt : std::optional<double>(known->second);
}

bool Repeats(const Chip& chip, const FoundPower& found) {
  // Supplies that say what was agreed with the charger.
  for (const char* supply : {"ucsi_source_psy", "tcpm_source_psy"}) {
    if (absl::StartsWith(chip.name, supply)) return true;
  }
  return chip.name == "ina3221" || found.batteries.contains(chip.name);
}

std::string Label(const Chip& chip, const std::string& file, int input) {
  const absl::StatusOr<std::string> own = ReadSysfsText(chip.dir / file);
  if (own.ok() && !own->empty()) return *own;
  const absl::StatusOr<std::string> of_chip = ReadSysfsText(chip.dir / "label");
  const std::string base = of_chip.ok() && !of_chip->empty() ? *of_chip : chip.name;
  return input <= 1 ? base : absl::StrCat(base, ".", input);
}

// False: there is no such input, or it is one that says nothing.
bool Readable(const Chip& chip, const Input& input, FoundPower& found) {
  const std::string upper = absl::AsciiStrToUpper(input.label);
  if (upper == "NC" || upper == "N/C") return false;
  const absl::Status readable = input.read().status();
  if (readable.ok()) return true;
  if (!absl::IsNotFound(readable) && !absl::IsDataLoss(readable)) {
    found.obstacles.push_back(
        absl::StrCat(input.label, " of ", chip.name, " ", chip.place, ": ", readable.message(),
                     absl::IsPermissionDenied(readable) ? "; make it readable for the agent" : ""));
  }
  return false;
}

std::vector<Input> Inputs(const Chip& chip, FoundPower& found) {
  std::vector<Input> inputs;
  const auto file = [&](const char* kind, int number, const char* suffix) {
    return chip.dir / absl::StrCat(kind, number, suffix);
  };
  const std::optional<double> stated_cycle = CycleMs(chip.dir);
  const std::int64_t refresh_ns = RefreshNs(stated_cycle ? stated_cycle : KnownCycleMs(chip.name));
  for (int number = 1; number <= kMostInputs; ++number) {
    const std::string label = Label(chip, absl::StrCat("power", number, "_label"), number);
    Input now{label, "power", kHz, refresh_ns,
              [path = file("power", number, "_input")] { return ReadSysfsNumber(path); }};
    const absl::StatusOr<std::int64_t> stated_ms =
        ReadSysfsNumber(file("power", number, "_average_interval"));
    const bool stated = stated_ms.ok() && *stated_ms > 0;
    const std::int64_t ms = stated ? *stated_ms : kAverageMs;
    Input average{label, absl::StrCat("average power of ", ms, " ms", stated ? "" : " (assumed)"),
                  kAverageHz, ms * kNsPerMs,
                  [path = file("power", number, "_average")] { return ReadSysfsNumber(path); }};
    if (Readable(chip, now, found)) {
      inputs.push_back(std::move(now));
    } else if (Readable(chip, average, found)) {
      inputs.push_back(std::move(average));
    }
  }
  if (!inputs.empty() || !MeasuresPairs(chip.name)) return inputs;
  for (int number = 1; number <= kMostInputs; ++number) {
    Input pair{Label(chip, absl::StrCat("in", number, "_label"), number),
               absl::StrCat("in", number, "_input times curr", number, "_input"), kHz, refresh_ns,
               [volts = file("in", number, "_input"),
                amps = file("curr", number, "_input")]() -> absl::StatusOr<std::int64_t> {
                 const absl::StatusOr<std::int64_t> mv = ReadSysfsNumber(volts);
                 if (!mv.ok()) return mv.status();
                 const absl::StatusOr<std::int64_t> ma = ReadSysfsNumber(amps);
                 if (!ma.ok()) return ma.status();
                 return *mv * *ma;  // mV * mA = uW
               }};
    if (Readable(chip, pair, found)) inputs.push_back(std::move(pair));
  }
  return inputs;
}

}  // namespace

void FindHwmonPower(const HostPaths& paths, FoundPower& found) {
  std::vector<std::string> rails;
  for (const Numbered& hwmon : ListNumbered(paths.Under("sys/class/hwmon"), "hwmon")) {
    Chip chip{ReadSysfsText(hwmon.path / "name").value_or(""), Place(hwmon), hwmon.path};
    if (chip.name.empty() || Repeats(chip, found)) continue;
    std::vector<Input> inputs = Inputs(chip, found);
    if (inputs.empty()) continue;
    auto source = std::make_unique<PolledPower>(absl::StrCat(chip.name, " ", chip.place));
    const v1::Scope scope = ScopeOf(chip.name);
    for (Input& input : inputs) {
      const std::string name = found.Name(input.label, chip.place);
      v1::ChannelInfo channel =
          PowerChannel(name, v1::QUANTITY_POWER_W, kMicro, input.hz, scope,
                       absl::StrCat(input.what, " by ", chip.name, " ", chip.place));
      channel.set_refresh_ns(input.refresh_ns);
      source->Add(std::move(channel), std::move(input.read));
      if (scope == v1::SCOPE_DEVICE) found.totals.push_back({name, Width::kDevice});
      if (scope == v1::SCOPE_BOARD_RAIL) rails.push_back(name);
    }
    found.sources.push_back(std::move(source));
  }
  const bool board_known =
      std::any_of(found.totals.begin(), found.totals.end(),
                  [](const PowerTotal& total) { return total.width == Width::kBoard; });
  if (rails.size() == 1 && !board_known) {
    found.AddLoneRail(rails[0]);
  } else if (rails.size() > 1 && !board_known) {
    found.obstacles.push_back(absl::StrCat(
        "rails ", absl::StrJoin(rails, ", "),
        ": none is known to be the whole board, so results are not reported from them; name one as "
        "power_channel in the agent's configuration to choose it"));
  }
}

}  // namespace joulefarm::agent
