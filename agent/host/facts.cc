#include "agent/host/facts.h"

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <map>
#include <set>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/process/proc_stat.h"
#include "agent/process/text.h"

namespace joulefarm::agent {
namespace {

constexpr std::size_t kLongestFact = 200;

// The first line of a file, without the zero bytes that end device-tree strings.
std::optional<std::string> Line(const std::filesystem::path& file) {
  const std::optional<std::string> text = ReadSmallFile(file);
  if (!text) return std::nullopt;
  const absl::string_view all(*text);
  const absl::string_view line =
      absl::StripAsciiWhitespace(all.substr(0, all.find_first_of(absl::string_view("\n\0", 2))));
  if (line.empty()) return std::nullopt;
  return Printable(line, kLongestFact);
}

// "NAME<separator>value" lines; the first of each name.
std::map<std::string, std::string> Settings(const std::filesystem::path& file, char separator) {
  std::map<std::string, std::string> settings;
  const std::string text = ReadSmallFile(file).value_or("");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> entry =
        absl::StrSplit(line, absl::MaxSplits(separator, 1));
    absl::string_view value = absl::StripAsciiWhitespace(entry.second);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    if (value.empty()) continue;
    settings.emplace(absl::StripAsciiWhitespace(entry.first), Printable(value, kLongestFact));
  }
  return settings;
}

std::optional<std::string> Find(const std::map<std::string, std::string>& settings,
                                const std::string& name) {
  const auto it = settings.find(name);
  return it == settings.end() ? std::nullopt : std::optional(it->second);
}

std::optional<std::string> BoardModel(const HostPaths& paths) {
  for (const char* file : {"proc/device-tree/model", "sys/firmware/devicetree/base/model"}) {
    if (auto model = Line(paths.Under(file))) return model;
  }
  return std::nullopt;
}

std::optional<std::string> Soc(const HostPaths& paths) {
  if (auto model = BoardModel(paths)) return model;
  const auto family = Line(paths.Under("sys/devices/soc0/family"));
  const auto machine = Line(paths.Under("sys/devices/soc0/machine"));
  if (family && machine) return absl::StrCat(*family, " ", *machine);
  return machine ? machine : family;
}

bool IsTegra(const HostPaths& paths) {
  for (const char* file :
       {"proc/device-tree/compatible", "sys/firmware/devicetree/base/compatible"}) {
    if (absl::StrContains(ReadSmallFile(paths.Under(file)).value_or(""), "nvidia,tegra"))
      return true;
  }
  std::error_code error;
  return std::filesystem::exists(paths.Under("etc/nv_tegra_release"), error);
}

v1::DeviceKind Kind(const HostPaths& paths, bool android) {
  if (android) return v1::DEVICE_KIND_PHONE;
  if (IsTegra(paths)) return v1::DEVICE_KIND_JETSON;
  int chassis = 0;
  if (absl::SimpleAtoi(Line(paths.Under("sys/class/dmi/id/chassis_type")).value_or(""), &chassis)) {
    // SMBIOS 3.6, 7.4.1: portable, laptop, notebook, sub-notebook, tablet, convertible, detachable.
    static const std::set<int> kPortable = {8, 9, 10, 14, 30, 31, 32};
    return kPortable.contains(chassis) ? v1::DEVICE_KIND_LAPTOP : v1::DEVICE_KIND_SERVER;
  }
  return BoardModel(paths) ? v1::DEVICE_KIND_BOARD : v1::DEVICE_KIND_SERVER;
}

// CPUs in the kernel's list, whether or not the agent may use them.
int ListedCpus(const std::string& cpuinfo) {
  int count = 0;
  for (absl::string_view line : absl::StrSplit(cpuinfo, '\n')) {
    if (absl::StartsWith(line, "processor") && absl::StrContains(line, ":")) ++count;
  }
  return count;
}

int AllowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

void ReadCpu(const HostPaths& paths, v1::DeviceFacts& facts) {
  const std::filesystem::path file = paths.proc() / "cpuinfo";
  const std::map<std::string, std::string> cpuinfo = Settings(file, ':');
  std::optional<std::string> model = Find(cpuinfo, "model name");
  for (const char* name : {"Hardware", "Model", "cpu model"}) {
    if (!model) model = Find(cpuinfo, name);
  }
  if (!model) model = BoardModel(paths);
  if (model) facts.set_cpu_model(*model);
  int cores = paths.live() ? AllowedCpus() : 0;
  if (cores == 0) cores = ListedCpus(ReadSmallFile(file).value_or(""));
  if (cores > 0) facts.set_cores(cores);
}

void ReadMemory(const HostPaths& paths, v1::DeviceFacts& facts) {
  const std::optional<std::string> total =
      Find(Settings(paths.proc() / "meminfo", ':'), "MemTotal");
  absl::string_view text = total ? absl::string_view(*total) : "";
  std::int64_t kib = 0;
  if (absl::ConsumeSuffix(&text, "kB") && absl::SimpleAtoi(text, &kib))
    facts.set_ram_mib(kib / 1024);
}

void ReadSystem(const HostPaths& paths, bool android, v1::DeviceFacts& facts) {
  facts.set_os(android ? "android" : "linux");
  if (android) {
    const auto properties = Settings(paths.Under("system/build.prop"), '=');
    if (auto release = Find(properties, "ro.build.version.release"))
      facts.set_os_version("Android " + *release);
  } else {
    for (const char* file : {"etc/os-release", "usr/lib/os-release"}) {
      const auto pretty = Find(Settings(paths.Under(file), '='), "PRETTY_NAME");
      if (!pretty) continue;
      facts.set_os_version(*pretty);
      break;
    }
  }
  if (auto kernel = Line(paths.Under("proc/sys/kernel/osrelease"))) facts.set_kernel(*kernel);
  if (auto hostname = Line(paths.Under("proc/sys/kernel/hostname"))) facts.set_hostname(*hostname);
}

std::optional<std::string> Architecture(const HostPaths& paths) {
  if (paths.live()) {
    utsname names{};
    return uname(&names) == 0 ? std::optional<std::string>(names.machine) : std::nullopt;
  }
  const std::map<std::string, std::string> cpuinfo = Settings(paths.proc() / "cpuinfo", ':');
  if (auto flags = Find(cpuinfo, "flags")) {
    return absl::StrContains(absl::StrCat(" ", *flags, " "), " lm ") ? "x86_64" : "i686";
  }
  const std::optional<std::string> arm = Find(cpuinfo, "CPU architecture");
  if (!arm) return std::nullopt;
  return *arm == "8" ? "aarch64" : "arm";
}

}  // namespace

v1::DeviceFacts ReadFacts(const HostPaths& paths) {
  v1::DeviceFacts facts;
  std::error_code error;
  const bool android = std::filesystem::exists(paths.Under("system/build.prop"), error);
  facts.set_kind(Kind(paths, android));
  ReadCpu(paths, facts);
  ReadMemory(paths, facts);
  ReadSystem(paths, android, facts);
  if (auto arch = Architecture(paths)) facts.set_arch(*arch);
  if (auto soc = Soc(paths)) facts.set_soc(*soc);
  return facts;
}

std::optional<std::string> Governor(const HostPaths& paths) {
  std::set<std::string> governors;
  std::error_code error;
  for (std::filesystem::directory_iterator it(paths.Under("sys/devices/system/cpu"), error), end;
       !error && it != end; it.increment(error)) {
    absl::string_view unused;
    const std::string name = it->path().filename().string();
    unused = name;
    if (!absl::ConsumePrefix(&unused, "cpu") || unused.empty() ||
        !absl::ascii_isdigit(static_cast<unsigned char>(unused[0])))
      continue;
    if (auto governor = Line(it->path() / "cpufreq/scaling_governor")) governors.insert(*governor);
  }
  if (governors.empty()) return std::nullopt;
  return absl::StrJoin(governors, ",");
}

}  // namespace joulefarm::agent
