// Packets of a Monsoon HVPM.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstddef>

#include "absl/strings/string_view.h"
#include "agent/power/meter/monsoon.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::monsoon {

inline Frame Packet(absl::string_view hex, std::size_t size = 64) {
  Frame frame = FromHex(hex);
  frame.resize(size);
  return frame;
}

// Derived from the documented layout: scales 36500 and 6400, offsets 15.
inline const Frame& Zero() {
  static const auto& frame = *new Frame(Packet("0000200101f403e801fe03f2000a001441a09c400010"));
  return frame;
}
inline const Frame& Reference() {
  static const auto& frame = *new Frame(Packet("000020014e20c3504e2ac35a0bb80fa041a09c400030"));
  return frame;
}
inline const Frame& Measurement() {
  static const auto& frame = *new Frame(
      Packet("000021030384753001f403e8000a001441a09c4000000384fde801f403e8000a001441a09c400000"
             "000000000000000000000000000000000020"));
  return frame;
}

inline MutationCase Case() {
  return {.make = MonsoonModel().make_decoder,
          .frames = {Measurement()},
          .before = {Zero(), Reference()},
          .max_voltage_v = 16.4,  // all its sixteen bits
          .max_current_a = 16,
          .stamps = Stamps::kRise,
          // Damage to a type makes a calibration of a measurement.
          .recovers = false};
}

}  // namespace joulefarm::agent::monsoon
