// The power mode of an NVIDIA Jetson, through its own tool nvpmodel.
//
// Threads: one; calls wait for the tool, at most half a minute. Ownership: none.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/host/host_paths.h"

namespace joulefarm::agent {

struct PowerMode {
  int number = 0;
  std::string name;  // "15W"
};

// What `nvpmodel -q` prints. DATA_LOSS when it is something else.
absl::StatusOr<PowerMode> ParsePowerMode(absl::string_view output);

class PowerModeTool {
 public:
  // The tool is usr/sbin/nvpmodel below the root.
  explicit PowerModeTool(const HostPaths& paths);

  bool exists() const;
  absl::StatusOr<PowerMode> Query() const;
  // OK: the board is in that mode now.
  absl::Status Set(int number) const;

 private:
  absl::StatusOr<std::string> Run(const std::vector<std::string>& arguments) const;

  const std::filesystem::path program_;
};

}  // namespace joulefarm::agent
