#include "agent/run/core_list.h"

#include <sched.h>

#include <cerrno>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace joulefarm::agent {
namespace {

absl::Status NoList(absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("\"", text,
                                                 "\" is no list of processors from 0 to ",
                                                 CPU_SETSIZE - 1, "; write one like 0-3,6"));
}

bool IsCore(int number) { return number >= 0 && number < CPU_SETSIZE; }

}  // namespace

absl::StatusOr<std::vector<int>> ParseCoreList(absl::string_view text) {
  std::set<int> cores;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(part, '-');
    int first = 0;
    int last = 0;
    if (ends.size() > 2 || !absl::SimpleAtoi(ends.front(), &first) ||
        !absl::SimpleAtoi(ends.back(), &last) || !IsCore(first) || !IsCore(last) || last < first) {
      return NoList(text);
    }
    for (int core = first; core <= last; ++core) cores.insert(core);
  }
  return std::vector<int>(cores.begin(), cores.end());
}

std::string CoreListText(const std::vector<int>& cores) {
  std::vector<std::string> ranges;
  for (std::size_t i = 0; i < cores.size();) {
    std::size_t last = i;
    while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1) ++last;
    ranges.push_back(last == i ? absl::StrCat(cores[i]) : absl::StrCat(cores[i], "-", cores[last]));
    i = last + 1;
  }
  return absl::StrJoin(ranges, ",");
}

absl::Status CheckCores(const std::vector<int>& cores) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return absl::ErrnoToStatus(errno, "sched_getaffinity");
  std::vector<int> usable;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(static_cast<std::size_t>(core), &allowed)) usable.push_back(core);
  }
  for (const int core : cores) {
    if (CPU_ISSET(static_cast<std::size_t>(core), &allowed)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("this agent may not use processor ", core, ", only ", CoreListText(usable)));
  }
  return absl::OkStatus();
}

CorePinning::CorePinning(std::vector<int> cores, ProcessJournal* inner)
    : cores_(std::move(cores)), inner_(inner) {}

absl::Status CorePinning::Started(pid_t pid, std::uint64_t start_ticks) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores_) CPU_SET(static_cast<std::size_t>(core), &set);
  if (sched_setaffinity(pid, sizeof set, &set) != 0) {
    return absl::ErrnoToStatus(errno,
                               absl::StrCat("cannot keep it on processors ", CoreListText(cores_)));
  }
  return inner_ != nullptr ? inner_->Started(pid, start_ticks) : absl::OkStatus();
}

void CorePinning::Ended(pid_t pid) {
  if (inner_ != nullptr) inner_->Ended(pid);
}

}  // namespace joulefarm::agent
