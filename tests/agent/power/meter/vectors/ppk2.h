// A Nordic PPK2's calibration and words.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/power/meter/ppk2.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::ppk2 {

// Of a real one: shared/design/meters.md, section 9.
inline constexpr const char* kText =
    "Calibrated: 0\nR0: 1003.3506\nR1: 101.5865\nR2: 10.3027\nR3: 0.9636\nR4: 0.0564\n"
    "GS0: 0.0000\nGS1: 112.7890\nGS2: 18.0115\nGS3: 2.4217\nGS4: 0.0729\n"
    "GI0: 1.0000\nGI1: 0.9695\nGI2: 0.9609\nGI3: 0.9519\nGI4: 0.9582\n"
    "O0: 112.9420\nO1: 75.4627\nO2: 64.6020\nO3: 50.4983\nO4: 87.2177\n"
    "VDD: 3741\nHW: 9173\nmode: 2\n"
    "S0: 0.000000048\nS1: 0.000000596\nS2: 0.000005281\nS3: 0.000062577\nS4: 0.002940743\n"
    "I0: -0.000000104\nI1: -0.000001443\nI2: 0.000036439\nI3: -0.000374119\nI4: -0.009388455\n"
    "UG0: 1.00\nUG1: 1.00\nUG2: 1.00\nUG3: 1.00\nUG4: 1.00\nIA: 56\nEND\n";

inline std::uint32_t Word(std::uint32_t adc, std::uint32_t range, std::uint32_t counter,
                          std::uint32_t pins = 0) {
  return adc | range << 14U | (counter & 63U) << 18U | pins << 24U;
}

inline Frame Words(const std::vector<std::uint32_t>& words) {
  Frame frame;
  for (const std::uint32_t word : words) {
    for (int shift = 0; shift < 32; shift += 8) {
      frame.push_back(static_cast<std::uint8_t>(word >> shift));
    }
  }
  return frame;
}

// `count` of the same reading, counted from `first`.
inline std::vector<std::uint32_t> Series(std::uint32_t first, int count, std::uint32_t adc = 1000,
                                         std::uint32_t range = 1) {
  std::vector<std::uint32_t> words;
  for (int i = 0; i < count; ++i) {
    words.push_back(Word(adc, range, first + static_cast<std::uint32_t>(i)));
  }
  return words;
}

inline MutationCase Case() {
  return {
      .make = Ppk2Model().make_decoder,
      .frames = {Words(Series(0, 16)), Words(Series(16, 16, 500, 3)), Words(Series(32, 32, 80, 4))},
      .stream = true,
      .before = {FromText(kText)},
      .max_voltage_v = 5,
      .max_current_a = 1.5,
      .stamps = Stamps::kRise,
      .recovers = false,  // a lost byte ends it, see above
      .finish_refuses = true};
}

}  // namespace joulefarm::agent::ppk2
