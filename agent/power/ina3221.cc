#include "agent/power/ina3221.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "agent/host/sysfs.h"
#include "agent/power/chip_refresh.h"

namespace joulefarm::agent {
namespace {

namespace fs = std::filesystem;

constexpr int kInputs = 3;
constexpr double kHz = 20;
constexpr double kMicro = 1e-6;
constexpr double kMilli = 1e-3;
// Offset of the voltage across a shunt, at most, by the chip's data sheet; and the shunt that
// Jetsons have, where the driver does not say.
constexpr double kShuntOffsetV = 80e-6;
constexpr double kShuntOhm = 0.005;

// Directories `below`/*/`child`<number> and, for hwmon, also `below`/*/hwmon/hwmon<number>.
struct Chip {
  std::string place;
  fs::path dir;
};

// Chips by their driver, and by the class, which a tree somebody sent may lack.
std::vector<Chip> ListChips(const HostPaths& paths, const char* driver, const char* child_dir,
                            const char* child_prefix) {
  std::vector<Chip> chips;
  std::error_code error;
  for (fs::directory_iterator it(paths.Under(driver), error), end; !error && it != end;
       it.increment(error)) {
    const fs::path parent = *child_dir == '\0' ? it->path() : it->path() / child_dir;
    for (const Numbered& child : ListNumbered(parent, child_prefix))
      chips.push_back({it->path().filename().string(), child.path});
  }
  std::sort(chips.begin(), chips.end(),
            [](const Chip& a, const Chip& b) { return a.place < b.place; });
  return chips;
}

// The bus address of a device's directory, "1-0040", or the directory's own name.
std::string Place(const fs::path& dir) {
  std::error_code error;
  const fs::path device = fs::canonical(dir / "device", error);
  return error ? dir.filename().string() : device.filename().string();
}

// Chips by the names their class lists, but not those that `known` has.
void AddByName(const fs::path& class_dir, const char* prefix, const char* name,
               std::vector<Chip>& chips) {
  std::set<fs::path> known;
  std::error_code error;
  for (const Chip& chip : chips) known.insert(fs::weakly_canonical(chip.dir, error));
  for (const Numbered& entry : ListNumbered(class_dir, prefix)) {
    if (ReadSysfsText(entry.path / "name").value_or("") != name) continue;
    if (!known.insert(fs::weakly_canonical(entry.path, error)).second) continue;
    chips.push_back({Place(entry.path), entry.path});
  }
}

// "NC" and nothing: no rail.
bool Connected(const std::string& label) {
  const std::string upper = absl::AsciiStrToUpper(label);
  return !upper.empty() && upper != "NC" && upper != "N/C";
}

double OffsetW(std::optional<std::int64_t> shunt_uohm, double volts) {
  const double ohm =
      shunt_uohm && *shunt_uohm > 0 ? static_cast<double>(*shunt_uohm) * kMicro : kShuntOhm;
  // The limit of an even distribution as a standard uncertainty.
  return kShuntOffsetV / ohm * std::abs(volts) / std::sqrt(3.0);
}

std::optional<std::int64_t> Number(const fs::path& file) {
  const absl::StatusOr<std::int64_t> number = ReadSysfsNumber(file);
  return number.ok() ? std::optional<std::int64_t>(*number) : std::nullopt;
}

// mV * mA = uW.
absl::StatusOr<std::int64_t> Product(const fs::path& millivolts, const fs::path& milliamps) {
  const absl::StatusOr<std::int64_t> mv = ReadSysfsNumber(millivolts);
  if (!mv.ok()) return mv.status();
  const absl::StatusOr<std::int64_t> ma = ReadSysfsNumber(milliamps);
  if (!ma.ok()) return ma.status();
  return *mv * *ma;
}

// Takes the rail when it can be read. An input without a reading is not one; anything else that
// fails is an obstacle.
void Offer(Rail rail, Rails& rails) {
  const absl::Status readable = rail.read().status();
  if (readable.ok()) {
    rails.rails.push_back(std::move(rail));
  } else if (!absl::IsNotFound(readable) && !absl::IsDataLoss(readable)) {
    const char* cure = absl::IsPermissionDenied(readable)
                           ? "; make it readable, such as by `sudo chmod a+r` on it"
                           : "";
    rails.obstacles.push_back(
        absl::StrCat("rail ", rail.label, " of ", rail.chip, ": ", readable.message(), cure));
  }
}

// No faster than the chip converts.
double RateOf(const std::optional<double>& cycle_ms) {
  return cycle_ms ? std::min(kHz, 1e3 / *cycle_ms) : kHz;
}

}  // namespace

Rails ListIna3221Hwmon(const HostPaths& paths) {
  Rails rails;
  std::vector<Chip> chips = ListChips(paths, "sys/bus/i2c/drivers/ina3221", "hwmon", "hwmon");
  AddByName(paths.Under("sys/class/hwmon"), "hwmon", "ina3221", chips);
  for (const Chip& chip : chips) {
    const std::optional<double> cycle_ms = CycleMs(chip.dir);
    for (int input = 1; input <= kInputs; ++input) {
      const fs::path volts = chip.dir / absl::StrCat("in", input, "_input");
      const fs::path amps = chip.dir / absl::StrCat("curr", input, "_input");
      if (Number(chip.dir / absl::StrCat("in", input, "_enable")) == 0) continue;
      const absl::StatusOr<std::string> label =
          ReadSysfsText(chip.dir / absl::StrCat("in", input, "_label"));
      if (label.ok() && !Connected(*label)) continue;
      Rail rail;
      rail.label = label.ok() ? *label : absl::StrCat(chip.place, ".", input);
      rail.chip = chip.place;
      rail.read = [volts, amps] { return Product(volts, amps); };
      rail.scale = kMicro;
      rail.nominal_hz = RateOf(cycle_ms);
      rail.refresh_ns = RefreshNs(cycle_ms);
      rail.offset_u_w = OffsetW(Number(chip.dir / absl::StrCat("shunt", input, "_resistor")),
                                static_cast<double>(Number(volts).value_or(0)) * kMilli);
      Offer(std::move(rail), rails);
    }
  }
  return rails;
}

Rails ListIna3221Iio(const HostPaths& paths) {
  Rails rails;
  std::vector<Chip> chips = ListChips(paths, "sys/bus/i2c/drivers/ina3221x", "", "iio:device");
  AddByName(paths.Under("sys/bus/iio/devices"), "iio:device", "ina3221x", chips);
  for (const Chip& chip : chips) {
    for (int input = 0; input < kInputs; ++input) {
      const absl::StatusOr<std::string> label =
          ReadSysfsText(chip.dir / absl::StrCat("rail_name_", input));
      if (!label.ok() || !Connected(*label)) continue;
      const fs::path watts = chip.dir / absl::StrCat("in_power", input, "_input");
      const fs::path volts = chip.dir / absl::StrCat("in_voltage", input, "_input");
      Rail rail;
      rail.label = *label;
      rail.chip = chip.place;
      rail.read = [watts] { return ReadSysfsNumber(watts); };
      rail.scale = kMilli;
      rail.nominal_hz = kHz;
      // Its driver's averaging is set by the board's device tree, which it does not show.
      rail.refresh_ns = kAssumedRefreshNs;
      rail.offset_u_w =
          OffsetW(std::nullopt, static_cast<double>(Number(volts).value_or(0)) * kMilli);
      Offer(std::move(rail), rails);
    }
  }
  return rails;
}

}  // namespace joulefarm::agent
