// The rows a plan wants written, and what of an artifact the farm knows.
//
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "controller/core/model.h"
#include "controller/core/results.h"

namespace joulefarm::controller {

// What of an artifact the database knows; the content lies in the artifact directory.
struct Artifact {
  std::string name;
  std::string sha256;
  std::int64_t size_bytes = 0;
  std::string format;  // "gguf" or "file"
  std::optional<std::string> architecture;
  std::optional<std::string> quant;
  std::optional<std::int64_t> parameters;
  std::optional<std::int64_t> context_length;
  std::int64_t pushed_wall_ns = 0;
};

// Something about an attempt's quality that only the controller knows. The same code about the same
// source replaces what was written before.
struct AttemptReason {
  Fence fence = 0;
  int source = 0;  // that it is about
  v1::Reason reason;
};

// The highest session epoch that was handed out.
struct EpochTaken {
  std::int64_t epoch = 0;
};

// The fence counter moved without an attempt (an agent knew a higher one).
struct FenceBumped {
  Fence fence = 0;
};

// One row to insert or replace. Jobs, attempts, devices, resources, agents are written whole.
using Write = std::variant<Experiment, Job, Attempt, AttemptReason, Device, Resource, Agent,
                           FarmEvent, Artifact, AttemptResults, EpochTaken, FenceBumped>;

}  // namespace joulefarm::controller
