#include "agent/process/oom.h"

#include <signal.h>

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/process/proc_stat.h"
#include "agent/process/text.h"

namespace joulefarm::agent {

OomWatch::OomWatch(std::filesystem::path proc)
    : proc_(std::move(proc)), kills_before_(KernelKills()) {}

std::optional<std::int64_t> OomWatch::KernelKills() const {
  const std::optional<std::string> vmstat = ReadSmallFile(proc_ / "vmstat");
  if (!vmstat) return std::nullopt;
  for (absl::string_view line : absl::StrSplit(*vmstat, '\n')) {
    std::int64_t kills = 0;
    if (absl::ConsumePrefix(&line, "oom_kill ") && absl::SimpleAtoi(line, &kills)) return kills;
  }
  return std::nullopt;
}

std::optional<std::string> OomWatch::Evidence(const ExitStatus& status,
                                              absl::string_view output_tail) const {
  if (status.success() || status.by_agent) return std::nullopt;
  if (status.signal == SIGKILL) {
    const std::optional<std::int64_t> kills = KernelKills();
    if (kills && kills_before_ && *kills > *kills_before_) {
      return absl::StrCat("the kernel's out-of-memory killer was at work (oom_kill ",
                          *kills_before_, " → ", *kills, ")");
    }
  }
  if (std::optional<std::string> line = AllocationFailureIn(output_tail)) {
    return absl::StrCat("its output says: ", *line);
  }
  return std::nullopt;
}

std::optional<std::string> AllocationFailureIn(absl::string_view output_tail) {
  constexpr std::array<absl::string_view, 9> kSigns = {
      "failed to allocate", "unable to allocate", "cannot allocate memory",
      "could not allocate", "allocation failed",  "out of memory",
      "std::bad_alloc",     "not enough memory",  "insufficient memory"};
  const std::vector<absl::string_view> lines =
      absl::StrSplit(output_tail, '\n', absl::SkipWhitespace());
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    const std::string lower = absl::AsciiStrToLower(*line);
    for (absl::string_view sign : kSigns) {
      if (absl::StrContains(lower, sign)) return Printable(absl::StripAsciiWhitespace(*line), 300);
    }
  }
  return std::nullopt;
}

}  // namespace joulefarm::agent
