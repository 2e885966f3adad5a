// The calibration a Power Profiler Kit 2 sends as text, and what its samples are worth by it.
//
// Threads: one per object. Ownership: values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace joulefarm::agent {

struct Ppk2Calibration {
  static constexpr std::size_t kRanges = 5;
  using PerRange = std::array<double, kRanges>;
  // As its text names them; not a number: it says so, or not at all.
  PerRange r, gs, gi, o, s, i, ug;
  double vdd_mv;
  std::optional<int> mode;  // 1: ampere meter, 2: source
  std::optional<int> hardware;

  Ppk2Calibration();
};

// Of the text up to its "END"; what it does not know is left out.
Ppk2Calibration ParsePpk2Calibration(absl::string_view text);

// Amperes of one reading of the converter; not a number where the range has no calibration.
double Ppk2Amperes(const Ppk2Calibration& calibration, std::size_t range, std::uint32_t adc);

// Takes the glitches out that switching between ranges makes: for three samples after it the
// exponential average stands in.
class Ppk2SpikeFilter {
 public:
  double Filter(std::size_t range, double amperes);

 private:
  std::optional<double> average_;
  double slow_average_ = 0;  // stands in within the highest range
  std::size_t range_ = 0;
  int standing_in_ = 0;
};

}  // namespace joulefarm::agent
