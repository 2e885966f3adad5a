// The workload "generate": prompts streamed through llama-server, or through any server that
// speaks OpenAI's API.
//
// Threads: Run blocks on the attempt's thread. Ownership: none beyond Run.
#pragma once

#include <cstdint>

#include "agent/workload/workload.h"

namespace joulefarm::agent {

struct GenerateLimits {
  // Longest wait between two tokens before the engine counts as hanging. For the first token of a
  // prompt it is longer by 50 ms per byte of the prompt (about 5 tokens/s).
  std::int64_t stall_ns = 120'000'000'000;
  std::int64_t stall_per_prompt_byte_ns = 50'000'000;
};

class GenerateWorkload : public Workload {
 public:
  explicit GenerateWorkload(GenerateLimits limits = {}) : limits_(limits) {}
  WorkloadOutcome Run(WorkloadContext& context) override;

 private:
  const GenerateLimits limits_;
};

}  // namespace joulefarm::agent
