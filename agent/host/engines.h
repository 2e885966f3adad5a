// Finds inference engines on this host and asks them for their version.
//
// Threads: FindEngines starts short-lived child processes and waits for them; call it from a
// long-lived thread. Ownership: none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "agent/process/stop_fd.h"
#include "joulefarm/v1/device.pb.h"

namespace joulefarm::agent {

struct EngineSearch {
  std::vector<std::filesystem::path> dirs;          // from the configuration, looked at first
  std::optional<std::filesystem::path> engine_dir;  // $JOULEFARM_ENGINE_DIR
  std::string path;                                 // $PATH
  std::int64_t version_timeout_ns = 10'000'000'000;
};

// With the environment's $JOULEFARM_ENGINE_DIR and $PATH.
EngineSearch DefaultEngineSearch(std::vector<std::filesystem::path> configured_dirs);

// Where `search` looks, for people and error messages.
std::string DescribeSearch(const EngineSearch& search);
// The same as directories, in order.
std::vector<std::filesystem::path> SearchedDirectories(const EngineSearch& search);

struct FoundEngines {
  std::vector<v1::Engine> engines;  // path: the engine's server program, absolute
  std::vector<std::string> notes;   // what was found but cannot be used, and why
};

// The first llama.cpp (an executable llama-server) that can be executed. One that says no version
// within the time-out is listed with an empty version.
FoundEngines FindEngines(const EngineSearch& search, const StopFd& stop);

// The version in what `llama-server --version` printed; empty when there is none.
std::string ParseLlamaVersion(const std::string& output);

}  // namespace joulefarm::agent
