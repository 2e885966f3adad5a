#include "agent/power/rapl.h"

#include <algorithm>
#include <map>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "agent/host/sysfs.h"
#include "agent/power/polled_power.h"

namespace joulefarm::agent {
namespace {

constexpr double kMicro = 1e-6;
// As often as the estimate: a phase of a second has bounds of a few per cent.
constexpr double kHz = 50;
// The counters move about every millisecond; twice that is a bound. Reading takes time as well.
constexpr std::int64_t kCountNs = 2'000'000;
constexpr std::int64_t kRefreshNs = kCountNs + PolledPower::kLongestReadNs;
constexpr std::int64_t kSumRefreshNs = kCountNs + PolledPower::kLongestSumNs;
// What comparisons with meters found; no vendor states it.
constexpr double kGainU = 0.05;
constexpr char kControlType[] = "intel-rapl";

struct Zone {
  std::vector<int> id;  // of the zone and, of a subzone, its package's before it
  std::string name;     // as the kernel says: "package-0", "core", "psys"
  std::filesystem::path dir;
  std::int64_t range_uj = 0;

  bool IsPackage() const { return id.size() == 1 && absl::StartsWith(name, "package-"); }
  bool IsPlatform() const { return id.size() == 1 && name == "psys"; }
};

// "intel-rapl:0:1" as {0, 1}; ids are hexadecimal. Empty: no zone of that control type.
std::vector<int> ZoneId(const std::string& entry) {
  const std::vector<std::string> parts = absl::StrSplit(entry, ':');
  std::vector<int> id;
  if (parts[0] != kControlType) return id;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    unsigned number = 0;
    if (!absl::SimpleHexAtoi(parts[i], &number)) return {};
    id.push_back(static_cast<int>(number));
  }
  return id;
}

std::vector<Zone> ListZones(const HostPaths& paths) {
  std::vector<Zone> zones;
  std::error_code error;
  for (std::filesystem::directory_iterator it(paths.Under("sys/class/powercap"), error), end;
       !error && it != end; it.increment(error)) {
    Zone zone;
    zone.id = ZoneId(it->path().filename().string());
    zone.dir = it->path();
    absl::StatusOr<std::string> name = ReadSysfsText(zone.dir / "name");
    if (zone.id.empty() || !name.ok() || name->empty()) continue;
    zone.name = *std::move(name);
    zones.push_back(std::move(zone));
  }
  std::sort(zones.begin(), zones.end(), [](const Zone& a, const Zone& b) { return a.id < b.id; });
  return zones;
}

std::string PermissionCure(const std::vector<std::string>& zones,
                           const std::filesystem::path& file) {
  return absl::StrCat(
      "RAPL (", absl::StrJoin(zones, ", "), "): no permission to read ", file.string(),
      "; the kernel shows it to root only. Either install deploy/udev/60-joulefarm-rapl.rules, or "
      "run "
      "`sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj` (until the next boot), or "
      "`sudo setcap cap_dac_read_search+ep` on joulefarm-agent");
}

// Leaves the zones that can be read, and says why others cannot.
std::vector<Zone> Readable(std::vector<Zone> zones, FoundPower& found) {
  std::vector<Zone> readable;
  std::vector<std::string> forbidden;
  std::filesystem::path forbidden_file;
  for (Zone& zone : zones) {
    const std::filesystem::path file = zone.dir / "energy_uj";
    const absl::Status energy = ReadSysfsNumber(file).status();
    const absl::StatusOr<std::int64_t> range = ReadSysfsNumber(zone.dir / "max_energy_range_uj");
    if (absl::IsPermissionDenied(energy)) {
      if (forbidden.empty()) forbidden_file = file;
      forbidden.push_back(zone.name);
    } else if (!energy.ok()) {
      if (!absl::IsNotFound(energy)) {
        found.obstacles.push_back(absl::StrCat("RAPL ", zone.name, ": ", energy.message()));
      }
    } else if (!range.ok() || *range <= 0) {
      found.obstacles.push_back(absl::StrCat(
          "RAPL ", zone.name, ": ", (zone.dir / "max_energy_range_uj").string(),
          " does not say where the counter wraps, so its differences cannot be trusted"));
    } else {
      zone.range_uj = *range;
      readable.push_back(std::move(zone));
    }
  }
  if (!forbidden.empty()) found.obstacles.push_back(PermissionCure(forbidden, forbidden_file));
  return readable;
}

v1::ChannelInfo Counter(std::string name, std::string description) {
  v1::ChannelInfo channel = PowerChannel(std::move(name), v1::QUANTITY_ENERGY_COUNTER_J, kMicro,
                                         kHz, v1::SCOPE_PACKAGE, std::move(description));
  channel.set_refresh_ns(kRefreshNs);
  channel.set_gain_u(kGainU);
  return channel;
}

std::string Describe(const Zone& zone) {
  const std::string zone_text = absl::StrCat("RAPL zone ", zone.dir.filename().string());
  if (zone.IsPlatform())
    return absl::StrCat(zone_text, ": the platform as its voltage regulators see it");
  if (zone.name == "dram") return absl::StrCat(zone_text, ": memory, beside its package");
  if (zone.IsPackage())
    return absl::StrCat(zone_text, ": the processor's package; no memory, board, screen or disk");
  return absl::StrCat(zone_text, ": part of the package");
}

}  // namespace

void FindRapl(const HostPaths& paths, FoundPower& found) {
  const std::vector<Zone> zones = Readable(ListZones(paths), found);
  if (zones.empty()) return;
  const auto packages =
      std::count_if(zones.begin(), zones.end(), [](const Zone& zone) { return zone.IsPackage(); });
  const auto platforms =
      std::count_if(zones.begin(), zones.end(), [](const Zone& zone) { return zone.IsPlatform(); });
  auto source = std::make_unique<PolledPower>("RAPL");
  std::map<int, std::string> package_names;  // by the first number of the id
  std::vector<int> package_channels;
  std::int64_t smallest_range_uj = 0;
  std::optional<std::string> whole;
  if (platforms == 1) {
    const auto platform = std::find_if(zones.begin(), zones.end(),
                                       [](const Zone& zone) { return zone.IsPlatform(); });
    whole = found.Name(platform->name, platform->dir.filename().string());
    found.totals.push_back({*whole, Width::kBoard});
  } else if (packages > 1) {
    whole = found.Name("packages", "rapl");
    found.totals.push_back({*whole, Width::kPackage});
  }
  for (const Zone& zone : zones) {
    const std::string where = zone.dir.filename().string();
    std::string name;
    if (zone.IsPlatform() && platforms == 1) {
      name = *whole;
    } else if (zone.id.size() > 1 && packages > 1 && package_names.contains(zone.id[0])) {
      name = found.Name(absl::StrCat(package_names[zone.id[0]], ".", zone.name), where);
    } else {
      name = found.Name(zone.name, where);
    }
    v1::ChannelInfo channel = Counter(name, Describe(zone));
    channel.set_wrap_raw(zone.range_uj);
    if (zone.IsPlatform()) channel.set_scope(v1::SCOPE_BOARD_RAIL);
    if (zone.IsPackage()) {
      package_names[zone.id[0]] = name;
      if (whole) {
        channel.set_parent(*whole);
      } else {
        found.totals.push_back({name, Width::kPackage});
      }
    } else if (zone.name == "dram") {
      if (platforms == 1) channel.set_parent(*whole);
    } else if (zone.id.size() > 1 && package_names.contains(zone.id[0])) {
      channel.set_parent(package_names[zone.id[0]]);
    }
    const bool package = zone.IsPackage();
    if (package)
      smallest_range_uj =
          smallest_range_uj == 0 ? zone.range_uj : std::min(smallest_range_uj, zone.range_uj);
    const int index = source->Add(
        std::move(channel), [file = zone.dir / "energy_uj"] { return ReadSysfsNumber(file); });
    if (package) package_channels.push_back(index);
  }
  if (whole && platforms != 1) {
    v1::ChannelInfo sum = Counter(
        *whole,
        absl::StrCat("sum of the ", packages, " packages' RAPL counters since the attempt began"));
    sum.set_refresh_ns(kSumRefreshNs);
    // It does not itself run over, but it has to be read as often as the part that does so first.
    sum.set_wrap_raw(smallest_range_uj);
    source->AddSum(std::move(sum), package_channels);
  }
  found.sources.push_back(std::move(source));
}

}  // namespace joulefarm::agent
