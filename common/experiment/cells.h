// From a checked matrix to cells. Internal to common/experiment.
//
// Threads: pure function. Ownership: values.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/experiment/expand.h"
#include "common/experiment/matrix.h"
#include "common/experiment/workload.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm {

// All cells' job descriptions together.
inline constexpr size_t kMaxSpecBytes = 268'435'456;

struct CellInputs {
  const Matrix* matrix = nullptr;
  const std::vector<WorkloadDraft>* workloads = nullptr;
  std::optional<std::string> model;                             // of the whole experiment
  const std::map<std::string, v1::ModelRef>* models = nullptr;  // by name, all that are used
  v1::JobSpec common;                                           // what is the same for every cell
};

// In the file's order, the first axis outermost. ResourceExhausted past kMaxSpecBytes; the text is
// a diagnostic's.
absl::StatusOr<std::vector<Cell>> BuildCells(const CellInputs& inputs);

}  // namespace joulefarm
