// The workload "throughput": llama-bench, one process for all runs, timed by itself.
//
// Threads: Run blocks on the attempt's thread. Ownership: none beyond Run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "agent/workload/workload.h"

namespace joulefarm::agent {

struct ThroughputLimits {
  // Longest wait between two signs of life before llama-bench counts as hanging. For tests it is
  // longer, by what a slow device may take per token.
  std::int64_t stall_ns = 120'000'000'000;
  std::int64_t per_prompt_token_ns = 200'000'000;
  std::int64_t per_gen_token_ns = 5'000'000'000;
};

class ThroughputWorkload : public Workload {
 public:
  explicit ThroughputWorkload(ThroughputLimits limits = {}) : limits_(limits) {}
  WorkloadOutcome Run(WorkloadContext& context) override;

 private:
  const ThroughputLimits limits_;
};

// What the spec does not set is left to the engine. The plan's warm-ups take the place of
// llama-bench's own.
std::vector<std::string> LlamaBenchArgv(const std::filesystem::path& program,
                                        const std::filesystem::path& model,
                                        const v1::ThroughputSpec& spec, int repetitions);

}  // namespace joulefarm::agent
