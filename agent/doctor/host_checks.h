// Looks at what an agent needs on this host. Changes nothing.
//
// Thread rule: one thread; blocks while engines are asked for their version and names are resolved.
// Ownership: values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "agent/doctor/finding.h"
#include "agent/host/engines.h"
#include "agent/host/host_paths.h"
#include "agent/power/registry.h"
#include "common/daemon/host_health.h"

namespace joulefarm::agent {

struct DoctorOptions {
  std::string controller;
  std::filesystem::path state_dir;
  std::filesystem::path root = "/";
  std::vector<std::filesystem::path> engine_dirs;
  PowerSettings power;
  bool allow_plaintext = false;
};

// Everything below, in the order people read it. Where the root is somebody else's tree, only what
// that tree can tell.
Findings Examine(const DoctorOptions& options);

Findings CheckEngines(const FoundEngines& found, const std::string& searched);
Findings CheckSensors(const HostPaths& paths);
// What measures power, and what stands in the way of more.
Findings CheckPower(const PowerSelection& selection);
Findings CheckMemory(const HostPaths& paths);
// `time`: nullopt where the kernel does not tell.
Findings CheckTime(const std::optional<TimeSync>& time);
Findings CheckStateDir(const std::filesystem::path& state_dir);
Findings CheckDisk(const std::filesystem::path& state_dir, const absl::StatusOr<DiskSpace>& space);
Findings CheckController(const std::string& address, bool allow_plaintext);

}  // namespace joulefarm::agent
