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
#include "common/experiment/workload_kind.h"
#include "joulefarm/config/v1/experiment.pb.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm {

struct WorkloadDraft {
  std::string name;
  std::string path;  // in the SourceMap
  WorkloadKind kind = WorkloadKind::kGenerate;
  v1::JobSpec spec;                   // its kind's message, resolved but for the matrix
  std::vector<std::string> argv;      // of the command or server, with its placeholders
  std::vector<std::string> keys_set;  // scalar fields and options written in the file
};

// Checks and resolves all workloads in the file's order. What is wrong goes to the diagnostics, and
// a workload of no known kind is left out.
std::vector<WorkloadDraft> DraftWorkloads(const config::v1::Experiment& experiment,
                                          const SourceMap& source, const Catalogue& catalogue,
                                          Diagnostics* diagnostics);

// "unknown model \"x\"; did you mean \"y\"? …": `what` is "model" or "artifact".
std::string UnknownArtifact(absl::string_view what, absl::string_view name,
                            const Catalogue& catalogue);

}  // namespace joulefarm
