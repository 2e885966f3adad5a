#include "agent/host/cpu_times.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>

#include "absl/strings/strip.h"
#include "agent/process/proc_stat.h"

namespace joulefarm::agent {

namespace {

constexpr std::size_t kFewestTicks = 4;
// user nice system idle iowait irq softirq steal; guest time is part of user time already.
using Ticks = std::array<double, 8>;

// What older kernels do not tell is 0.
std::optional<Ticks> ParseTicks(absl::string_view line) {
  Ticks ticks{};
  std::size_t n = 0;
  const char* at = line.data();
  const char* const end = at + line.size();
  while (n < ticks.size()) {
    at = std::find_if(at, end, [](char c) { return c != ' '; });
    if (at == end) break;
    std::uint64_t number = 0;
    const auto [after, error] = std::from_chars(at, end, number);
    if (error != std::errc() || (after != end && *after != ' ')) return std::nullopt;
    ticks[n++] = static_cast<double>(number);
    at = after;
  }
  return n < kFewestTicks ? std::nullopt : std::optional(ticks);
}

}  // namespace

double ProcTicksPerSecond() {
  const long ticks = sysconf(_SC_CLK_TCK);
  return ticks > 0 ? static_cast<double>(ticks) : 100.0;
}

std::optional<CpuTimes> ParseCpuTimes(absl::string_view text, double ticks_per_s) {
  CpuTimes times;
  bool found = false;
  // The cpu lines come first.
  while (absl::ConsumePrefix(&text, "cpu")) {
    const absl::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.empty() && std::isdigit(static_cast<unsigned char>(line[0])) != 0) {
      ++times.cores;
      continue;
    }
    const std::optional<Ticks> ticks = ParseTicks(line);
    if (!ticks) return std::nullopt;
    const auto& [user, nice, system, idle, iowait, irq, softirq, steal] = *ticks;
    times.busy_s = (user + nice + system + irq + softirq) / ticks_per_s;
    times.total_s = times.busy_s + (idle + iowait + steal) / ticks_per_s;
    found = true;
  }
  if (!found || times.cores == 0) return std::nullopt;
  return times;
}

std::optional<CpuTimes> ReadCpuTimes(const HostPaths& paths) {
  const std::optional<std::string> text = ReadSmallFile(paths.proc() / "stat");
  return text ? ParseCpuTimes(*text, ProcTicksPerSecond()) : std::nullopt;
}

std::optional<CpuTimes> CpuTimesReader::Read() {
  const std::optional<absl::string_view> text = file_.Read();
  return text ? ParseCpuTimes(*text, ProcTicksPerSecond()) : std::nullopt;
}

std::optional<double> BusyShare(const CpuTimes& before, const CpuTimes& after) {
  const double total = after.total_s - before.total_s;
  if (total <= 0) return std::nullopt;
  return std::clamp((after.busy_s - before.busy_s) / total, 0.0, 1.0);
}

}  // namespace joulefarm::agent
