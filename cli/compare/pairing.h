// Which cells of two experiments are compared, and which numbers may be.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/compare/comparison.h"

namespace joulefarm::cli {

// Pairs cells by name (or the two that are named) and devices by id (or the two, when there is one
// on each side). `metrics` empty: all that both have. INVALID_ARGUMENT: speed methods, scopes or
// provenances differ, or a metric nobody has. NOT_FOUND: nothing to compare.
absl::StatusOr<CompareResult> Compare(const CompareSide& a, const CompareSide& b,
                                      const std::vector<std::string>& metrics);

}  // namespace joulefarm::cli
