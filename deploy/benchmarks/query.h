// query.*: how long the energies of every phase of an hour at 5 kHz take.
//
// Threads: blocks. Ownership: none; files are made below `folder` and left there.
#pragma once

#include <filesystem>

namespace joulefarm::bench {

// Stores 18 million samples of one attempt through a real controller, then reads the attempt back
// from its database and computes every row of table energy, as `result recompute` does. 0: all went
// well, and every way gave the same bits.
int MeasurePhaseEnergies(const std::filesystem::path& folder);

}  // namespace joulefarm::bench
