// What is compared, and what comes of it: two experiments or cells, metric by metric.
//
// Thread rule: values. Ownership: values.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <vector>

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

// What is compared with what: a cell of a workload on a device.
using Place = std::tuple<std::string, std::string, std::string>;  // workload, cell, device

// "model=tiny on edge-7f3a".
std::string NameOf(const Place& place);

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
};

struct CompareResult {
  std::vector<Comparison> rows;
  std::vector<std::string> notes;  // what only one side has, grades below VALID, unequal work
};

}  // namespace joulefarm::cli
