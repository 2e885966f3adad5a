// Workloads of an experiment file: which kinds there are, which keys each takes, and what of a job
// they determine. Internal to common/experiment.
//
// Threads: pure functions. Ownership: a draft borrows nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/config/source_map.h"
#include "common/experiment/catalogue.h"
#include "google/protobuf/descriptor.h"
#include "joulefarm/config/v1/experiment.pb.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm {

enum class WorkloadKind { kGenerate, kCommand };

struct WorkloadDraft {
  std::string name;
  std::string path;  // in the SourceMap
  WorkloadKind kind = WorkloadKind::kGenerate;
  v1::GenerateSpec generate;          // kGenerate: resolved but for the matrix
  std::vector<std::string> argv;      // kCommand: with its placeholders
  std::vector<std::string> keys_set;  // scalar fields and options written in the file
};

// The field of Workload or GenerateOptions that a generate workload's matrix key names; nullptr for
// what cannot be a factor.
const google::protobuf::FieldDescriptor* GenerateFactor(absl::string_view key);

// Every key GenerateFactor knows.
std::vector<std::string> GenerateFactors();

// Checks and resolves all workloads in the file's order. What is wrong goes to the diagnostics, and
// a workload of no known kind is left out.
std::vector<WorkloadDraft> DraftWorkloads(const config::v1::Experiment& experiment,
                                          const SourceMap& source, const Catalogue& catalogue,
                                          Diagnostics* diagnostics);

// "unknown model \"x\"; did you mean \"y\"? …": `what` is "model" or "artifact".
std::string UnknownArtifact(absl::string_view what, absl::string_view name,
                            const Catalogue& catalogue);

// What {name} in an argument stands for, by name.
struct Placeholders {
  std::vector<std::pair<std::string, std::string>> factors;
  const v1::ModelRef* model = nullptr;
};

// The argument with each {name} replaced that is a factor, or a fact of the model: {model.name},
// {model.sha256}, {model.quant}. {model.path} is the agent's to replace; other braces stay.
std::string ExpandArgument(absl::string_view argument, const Placeholders& placeholders);

// The model facts ("model.path") the arguments mention.
std::vector<std::string> ModelFactsIn(const std::vector<std::string>& argv);

}  // namespace joulefarm
