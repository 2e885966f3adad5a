// The table an experiment ends with: per cell and device, speed with its interval, energy with its
// label, load time, memory, grades.
//
// Thread rule: pure. Ownership: values.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "cli/output/text_table.h"
#include "common/table/table.h"

namespace joulefarm::cli {

// `summary` is listing RESULT_SUMMARY (per cell, device, scope, provenance and metric), `results`
// listing RESULTS (one row per run); means and intervals are the summary's, everything else comes
// from the runs. Rows follow `cell_order`, then what it does not name in order of appearance.
// Below come the reasons of the grades, those of speed first, then those of most runs; after
// `most_reasons` the rest is counted.
// Writes nothing but a short notice when no run was stored.
constexpr std::size_t kFewReasons = 8;
constexpr std::size_t kAllReasons = static_cast<std::size_t>(-1);
void RenderSummary(const Table& summary, const Table& results,
                   const std::vector<std::string>& cell_order, const Look& look, std::ostream& out,
                   std::size_t most_reasons = kFewReasons);

}  // namespace joulefarm::cli
