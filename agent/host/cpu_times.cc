#include "agent/host/cpu_times.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/process/proc_stat.h"

namespace joulefarm::agent {

double ProcTicksPerSecond() {
  const long ticks = sysconf(_SC_CLK_TCK);
  return ticks > 0 ? static_cast<double>(ticks) : 100.0;
}

std::optional<CpuTimes> ParseCpuTimes(absl::string_view text, double ticks_per_s) {
  CpuTimes times;
  bool found = false;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, "cpu")) break;  // the cpu lines come first
    if (!line.empty() && std::isdigit(static_cast<unsigned char>(line[0])) != 0) {
      ++times.cores;
      continue;
    }
    // user nice system idle iowait irq softirq steal; guest time is part of user time already.
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    std::array<double, 8> ticks{};
    if (fields.size() < 4) return std::nullopt;
    for (std::size_t i = 0; i < std::min(ticks.size(), fields.size()); ++i) {
      if (!absl::SimpleAtod(fields[i], &ticks[i])) return std::nullopt;
    }
    times.busy_s = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / ticks_per_s;
    times.total_s = times.busy_s + (ticks[3] + ticks[4] + ticks[7]) / ticks_per_s;
    found = true;
  }
  if (!found || times.cores == 0) return std::nullopt;
  return times;
}

std::optional<CpuTimes> ReadCpuTimes(const HostPaths& paths) {
  const std::optional<std::string> text = ReadSmallFile(paths.proc() / "stat");
  return text ? ParseCpuTimes(*text, ProcTicksPerSecond()) : std::nullopt;
}

std::optional<double> BusyShare(const CpuTimes& before, const CpuTimes& after) {
  const double total = after.total_s - before.total_s;
  if (total <= 0) return std::nullopt;
  return std::clamp((after.busy_s - before.busy_s) / total, 0.0, 1.0);
}

}  // namespace joulefarm::agent
