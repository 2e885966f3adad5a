// Reports of a POWER-Z KM001 Pro and an ATORCH ACD15P.
//
// Threads: any. Ownership: values.
#pragma once

#include "agent/power/meter/acd15p.h"
#include "agent/power/meter/km001pro.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::king_meter {

// meters.md, section 5.
inline const Frame& Km001ProVector() {
  static const Frame frame = FromHex(
      "aa2562050b01 cd274f00 1d210300 0e7a0f00 16000000 cc000000 82274f00 b74b0300 0701 01");
  return frame;
}
inline const Frame& Acd15pVector() {
  static const Frame frame = FromHex(
      "aa4062050b00eb01 c6a64f00 350f0100 b6870500 8f230000 39160000 cb2d0d00 52753200 90d9b701");
  return frame;
}

inline MutationCase Km001ProCase() {
  return {.make = Km001ProModel().make_decoder,
          .frames = {Km001ProVector()},
          .max_voltage_v = 60,
          .max_current_a = 10};
}

inline MutationCase Acd15pCase() {
  return {.make = Acd15pModel().make_decoder,
          .frames = {Acd15pVector()},
          .max_voltage_v = 60,
          .max_current_a = 10};
}

}  // namespace joulefarm::agent::king_meter
