// What changed between two experiments or cells, metric by metric, and what of it is shown by the
// data.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/output/text_table.h"
#include "common/stats/welch.h"
#include "common/table/table.h"

namespace joulefarm::cli {

// One side: rows of result_summary, of one cell when one is named.
struct CompareSide {
  std::string name;  // as the operator wrote it
  std::optional<std::string> cell;
  Table summary;
  Table runs;  // listing RESULTS; without it nothing is said of grades and work
};

// One metric of one cell on both sides.
struct Comparison {
  std::string cell_a, cell_b;
  std::string device_a, device_b;
  std::string metric;  // "otps", "energy_est_j"
  std::string unit;
  std::string speed_method, energy_scope, provenance;  // the same on both sides; may be empty
  SampleMoments a, b;
  std::string stat_unit_a, stat_unit_b;
  std::optional<Difference> difference;  // absent below 3 values on a side
  std::optional<double> ratio;           // b / a; absent when a is 0
  // 1: more is better, -1: less is better, 0: neither.
  int better = 0;

  // "B is 12 % faster", "no difference shown (-3 % … +5 %)", "too few runs to tell (2 and 3)".
  std::string Verdict() const;
};

struct CompareResult {
  std::vector<Comparison> rows;
  std::vector<std::string> notes;  // what only one side has, grades below VALID, unequal work
};

// Pairs cells by name (or the two that are named) and devices by id (or the two, when there is one
// on each side). `metrics` empty: all that both have. INVALID_ARGUMENT: speed methods, scopes or
// provenances differ, or a metric nobody has. NOT_FOUND: nothing to compare.
absl::StatusOr<CompareResult> Compare(const CompareSide& a, const CompareSide& b,
                                      const std::vector<std::string>& metrics);

// As a table for machines: one row per comparison.
Table CompareTable(const CompareResult& result);
// For people.
void RenderCompare(const CompareSide& a, const CompareSide& b, const CompareResult& result,
                   const Look& look, std::ostream& out);

}  // namespace joulefarm::cli
