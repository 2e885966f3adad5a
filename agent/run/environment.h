// What is set on the device for the time of an attempt: governor and power mode. What was there
// before is on disk before anything is changed, so that it is put back on every way out and by the
// next agent process after a crash.
//
// Threads: one. Ownership: owns the journal file while something is set. Everything is below
// HostPaths' root.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/host/host_paths.h"

namespace joulefarm::agent {

// As the operator's configuration asks for; absent: left as it is.
struct EnvironmentSettings {
  std::optional<std::string> governor = {};
  std::optional<int> power_mode = {};
  std::optional<std::string> cores = {};  // see core_list.h
};

// One thing as it was.
struct EarlierSetting {
  std::string value;
  std::string file;  // below the root, of a governor; empty: the power mode
};

class Environment {
 public:
  // `journal` is a file in the agent's state directory.
  Environment(HostPaths paths, std::filesystem::path journal);
  // Puts back.
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  // Governor and power mode. On an error everything is as it was, or Restore says what is not.
  absl::Status Apply(const EnvironmentSettings& settings);
  // Puts back what was changed. An error says what could not be; it stays in the journal, to be
  // tried again. Repeated calls do nothing.
  absl::Status Restore();

  // What an earlier process did not put back. FAILED_PRECONDITION where the journal cannot be read.
  // The texts say what was done, for the log.
  absl::StatusOr<std::vector<std::string>> RestoreLeft();

 private:
  absl::Status SetPowerMode(int number);
  absl::Status SetGovernor(const std::string& governor);
  // Adds to the journal.
  absl::Status Remember(std::vector<EarlierSetting> more);
  absl::Status PutBack(const EarlierSetting& earlier) const;

  const HostPaths paths_;
  const std::filesystem::path journal_;
  std::vector<EarlierSetting> earlier_;  // as in the journal
};

}  // namespace joulefarm::agent
