// What can only be said of a whole cell: that its options, wherever they come from, do not fit
// together. Internal to common/experiment.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "joulefarm/v1/job.pb.h"

namespace joulefarm {

inline constexpr char kOpenAi[] = "openai";

// Options of generate that are given to an engine when it starts, and that a server of somebody
// else's takes from its own command line.
inline constexpr std::array<const char*, 8> kEngineOptions = {
    "threads",    "ctx",        "batch",        "ubatch",
    "gpu_layers", "flash_attn", "cache_type_k", "cache_type_v"};

struct CellFault {
  std::string key;      // of the workload, such as "options.url"
  std::string message;  // what is wrong and what to do
};

std::optional<CellFault> FaultOf(const v1::JobSpec& spec);

}  // namespace joulefarm
