// Computes the energies of an attempt again from its raw data and compares them with those stored.
//
// Threads: pure function. Ownership: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/results.h"
#include "controller/store/attempt_reader.h"

namespace joulefarm::controller {

// One row of table energy, as stored and as computed now.
struct Recomputed {
  EnergyResult stored;  // what the row is about stands here also where nothing is stored
  EnergyResult recomputed;
  bool is_stored = true;
  bool is_recomputed = true;
  // Columns of table energy that are not the same to the last bit; empty: identical.
  std::vector<std::string> differs;
};

// In the order of the table; what only one side has comes with `differs` "row". Every sample is
// decoded: nothing that was made when they were stored is trusted.
std::vector<Recomputed> Recompute(const StoredAttempt& attempt);

}  // namespace joulefarm::controller
