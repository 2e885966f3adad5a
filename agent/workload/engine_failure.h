// What the workloads that run llama.cpp's programs say when such a program is not there, does not
// start or breaks.
//
// Threads: pure functions. Ownership: results own their data.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "agent/process/exit_status.h"
#include "agent/process/oom.h"
#include "agent/workload/workload.h"

namespace joulefarm::agent {

// nullptr: this device has none.
const v1::Engine* FindLlamaCpp(const WorkloadContext& context);
WorkloadOutcome LlamaCppMissing(const WorkloadContext& context);

// `name`: the program as people know it, such as "llama-server". `cure`: what to do where it is
// missing or may not be executed.
WorkloadOutcome EngineNotStarted(absl::string_view name, const absl::Status& status,
                                 absl::string_view cure);

// It ended by itself `during` something ("in run 2 of 4"): OOM, INFRA where it could not even be
// executed, otherwise USER; with its last output.
WorkloadOutcome EngineEnded(absl::string_view name, const std::filesystem::path& program,
                            const ExitStatus& status, const std::string& during,
                            const OomWatch& oom, const std::string& output);

}  // namespace joulefarm::agent
