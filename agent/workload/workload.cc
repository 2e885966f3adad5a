#include "agent/workload/workload.h"

#include "absl/strings/str_cat.h"
#include "agent/workload/command.h"
#include "agent/workload/generate.h"
#include "agent/workload/throughput.h"

namespace joulefarm::agent {

absl::StatusOr<std::unique_ptr<Workload>> MakeWorkload(const v1::JobSpec& spec) {
  switch (spec.kind_case()) {
    case v1::JobSpec::kGenerate:
      if (spec.generate().engine() != "llama.cpp" && spec.generate().engine() != "openai") {
        return absl::InvalidArgumentError(absl::StrCat("this agent does not know the engine '",
                                                       spec.generate().engine(),
                                                       "'; it knows llama.cpp and openai"));
      }
      return std::make_unique<GenerateWorkload>();
    case v1::JobSpec::kCommand:
      return std::make_unique<CommandWorkload>();
    case v1::JobSpec::kThroughput:
      return std::make_unique<ThroughputWorkload>();
    case v1::JobSpec::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "this agent does not know the kind of this workload; update the agent");
}

}  // namespace joulefarm::agent
