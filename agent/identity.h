// Who this agent is: an id that stays, an instance that does not.
//
// Thread rule: any thread. Ownership: none.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

namespace joulefarm::agent {

// Hostname and four random hex digits, kept in STATE/agent_id from the first call on.
absl::StatusOr<std::string> PersistentAgentId(const std::filesystem::path& state_dir);

// The id that was kept there; empty: none yet.
std::string KeptAgentId(const std::filesystem::path& state_dir);

// Random, for one process: 16 hex digits.
std::string RandomInstance();

}  // namespace joulefarm::agent
