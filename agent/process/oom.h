// Tells whether a process died of memory shortage, from evidence: SIGKILL alone proves nothing.
//
// Threads: a value. Ownership: none. The path of procfs is the seam for tests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "agent/process/exit_status.h"

namespace joulefarm::agent {

// Made before the process starts, asked after it ended.
class OomWatch {
 public:
  explicit OomWatch(std::filesystem::path proc);
  // What speaks for memory shortage: the process was killed by somebody else with SIGKILL while the
  // kernel counted OOM kills, or it failed and the end of its output says that an allocation
  // failed. nullopt: nothing does.
  std::optional<std::string> Evidence(const ExitStatus& status,
                                      absl::string_view output_tail) const;

 private:
  std::optional<std::int64_t> KernelKills() const;

  std::filesystem::path proc_;
  std::optional<std::int64_t> kills_before_;
};

// The line of `output_tail` that says an allocation failed, if there is one.
std::optional<std::string> AllocationFailureIn(absl::string_view output_tail);

}  // namespace joulefarm::agent
