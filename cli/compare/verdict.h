// What a comparison shows: one rule for the words, the colour and the JSON.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <string>

#include "cli/compare/comparison.h"

namespace joulefarm::cli {

enum class Finding {
  kTooFew,      // no interval
  kSame,        // the same value each time
  kNotShown,    // the interval contains zero
  kNegligible,  // shown, but below 0.1 %
  kDiffers,
};
Finding FindingOf(const Comparison& row);

// Whose mean is better: nobody's unless the finding is kDiffers, nor for a metric of which neither
// more nor less is better.
enum class Better { kNeither, kA, kB };
Better BetterOf(const Comparison& row);

// "B is 12 % faster", "no difference shown (-3 % … +5 %)", "too few runs to tell (2 and 3)".
std::string Verdict(const Comparison& row);

// "energy_est_j" and "energy_j" are one metric of different provenance.
std::string FamilyOf(std::string metric);

}  // namespace joulefarm::cli
