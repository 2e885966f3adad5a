// Which baseline belongs to which run, and the net energies of a channel's rows.
//
// Threads: a value, then pure. Ownership: the view is borrowed during the constructor.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/measure/baseline.h"
#include "controller/core/results.h"
#include "controller/ingest/attempt_view.h"

namespace joulefarm::controller {

// The idle with the engine loaded right before and right after a run; without one, the idle before
// the engine was loaded.
class Baselines {
 public:
  Baselines(const AttemptView& view, IntegrateInterval integrate);

  // Fills in the net energy of a run's row; rows outside of runs have none, as the baseline is part
  // of what they are.
  void Apply(const Energy& energy, EnergyResult& row, std::vector<Finding>& findings) const;

 private:
  struct Named {
    std::string name;
    Baseline baseline;
  };
  std::map<int, Named> by_run_;
};

}  // namespace joulefarm::controller
