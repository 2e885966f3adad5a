// What an agent is told: its configuration file and its flags.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/agent.h"

namespace joulefarm::agent {

struct AgentFlags {
  std::optional<std::string> config;
  std::optional<std::string> controller;
  std::optional<std::string> id;
  std::optional<std::string> state;
  std::string root = "/";
  bool allow_plaintext = false;
};

// Flags win over the file, the file over defaults; tares and latencies of meters come from the
// state directory. INVALID_ARGUMENT names file, line and column, or the root that is not there;
// other errors are of what is kept of meters.
absl::StatusOr<AgentOptions> MakeOptions(const AgentFlags& flags);

}  // namespace joulefarm::agent
