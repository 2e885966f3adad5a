// The matrix of an experiment file: its axes checked and typed, and what is excluded. Internal to
// common/experiment.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/source_map.h"
#include "common/experiment/workload.h"
#include "joulefarm/config/v1/experiment.pb.h"

namespace joulefarm {

// Before exclusion.
inline constexpr std::uint64_t kMaxCells = 100'000;

struct AxisValue {
  std::string text;  // as in the cell's name and in arguments; unique within the axis
  std::string json;
  config::v1::Scalar scalar;
};

enum class AxisOrigin {
  kFile,
  kAllWorkloads,  // made because the matrix has no key `workload`
};

struct Axis {
  std::string key;
  std::vector<AxisValue> values;
  AxisOrigin origin = AxisOrigin::kFile;
};

// Which value of which axis; a cell that has all of them is left out.
using Exclusion = std::vector<std::pair<size_t, size_t>>;

struct Matrix {
  std::vector<Axis> axes;  // the first varies slowest; always one named "workload"
  std::vector<Exclusion> exclusions;

  // nullptr when there is none.
  const Axis* Find(absl::string_view key) const;
};

// Checks keys, types, duplicates, conflicts, the number of cells (before any is made) and
// exclusions. What is wrong goes to the diagnostics; the result is used only when there is nothing.
Matrix BuildMatrix(const config::v1::Experiment& experiment, const SourceMap& source,
                   const std::vector<WorkloadDraft>& workloads, Diagnostics* diagnostics);

}  // namespace joulefarm
