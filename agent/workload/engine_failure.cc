#include "agent/workload/engine_failure.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "agent/workload/attempt.h"

namespace joulefarm::agent {

const v1::Engine* FindLlamaCpp(const WorkloadContext& context) {
  const auto it =
      std::find_if(context.engines.begin(), context.engines.end(),
                   [](const v1::Engine& engine) { return engine.name() == "llama.cpp"; });
  return it == context.engines.end() ? nullptr : &*it;
}

WorkloadOutcome LlamaCppMissing(const WorkloadContext& context) {
  return Failed(
      v1::FAILURE_CLASS_INFRA,
      absl::StrCat("no llama.cpp on this device: looked for an executable llama-server in ",
                   context.engine_search.empty() ? "the agent's engine directories and PATH"
                                                 : context.engine_search,
                   ". Install llama.cpp there (deploy/demo brings one), set $JOULEFARM_ENGINE_DIR, "
                   "and restart the agent"));
}

WorkloadOutcome EngineNotStarted(absl::string_view name, const absl::Status& status,
                                 absl::string_view cure) {
  const bool missing = absl::IsNotFound(status) || absl::IsPermissionDenied(status);
  return Failed(v1::FAILURE_CLASS_INFRA,
                absl::StrCat(name, " could not be started: ", status.message(), missing ? "; " : "",
                             missing ? cure : ""));
}

WorkloadOutcome EngineEnded(absl::string_view name, const std::filesystem::path& program,
                            const ExitStatus& status, const std::string& during,
                            const OomWatch& oom, const std::string& output) {
  if (const auto evidence = oom.Evidence(status, output)) {
    return Failed(
        v1::FAILURE_CLASS_OOM,
        absl::StrCat(name, " ran out of memory ", during, " (", status.ToString(), "): ", *evidence,
                     "; use a smaller model, context or batch.", LastOutput(output)));
  }
  // What shells and launchers say when they cannot start the program proper.
  if (status.code == 126 || status.code == 127) {
    return Failed(v1::FAILURE_CLASS_INFRA,
                  absl::StrCat(name, " (", program.string(), ") cannot be executed (",
                               status.ToString(), "); reinstall the engine.", LastOutput(output)));
  }
  return Failed(v1::FAILURE_CLASS_USER, absl::StrCat(name, " ended ", during, ": ",
                                                     status.ToString(), ".", LastOutput(output)));
}

}  // namespace joulefarm::agent
