// Comparisons as people and programs get them.
//
// Thread rule: one thread per stream. Ownership: values.
#pragma once

#include <ostream>

#include "cli/compare/comparison.h"
#include "cli/output/text_table.h"

namespace joulefarm::cli {

// As a table for machines: one row per comparison.
Table CompareTable(const CompareResult& result);
// For people.
void RenderCompare(const CompareSide& a, const CompareSide& b, const CompareResult& result,
                   const Look& look, std::ostream& out);

}  // namespace joulefarm::cli
