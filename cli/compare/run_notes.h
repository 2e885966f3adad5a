// What the runs behind a comparison say about it: their grades, and whether they did the same work.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <string>
#include <vector>

#include "cli/compare/comparison.h"

namespace joulefarm::cli {

// Appends a line for each thing to know.
void NoteRuns(const CompareSide& a, const Place& left, const CompareSide& b, const Place& right,
              std::vector<std::string>& notes);

}  // namespace joulefarm::cli
