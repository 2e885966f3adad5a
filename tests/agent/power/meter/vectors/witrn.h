// Reports of a WITRN meter.
//
// Threads: any. Ownership: values.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "agent/power/meter/checksum.h"
#include "agent/power/meter/witrn.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::witrn {

// meters.md, section 4.
inline const Frame& Vector() {
  static const Frame frame = FromHex(
      "ff55072c000000001a30000000000000a03f00009040100e0000611c00009a99"
      "993fcdcc8c3f0000c8410000bc410000a0400000004000325a0000000000b53c");
  return frame;
}

inline Frame WithSums(Frame frame) {
  frame.resize(64);
  frame[62] = Sum8(Bytes(frame).subspan(8, 54));
  frame[63] = static_cast<std::uint8_t>(Sum8(Bytes(frame).subspan(0, 8)) + frame[62]);
  return frame;
}

inline void PutFloat(Frame& frame, std::size_t at, float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (std::size_t i = 0; i < 4; ++i) frame[at + i] = static_cast<std::uint8_t>(bits >> (8 * i));
}

inline Frame Report(std::int64_t t_ms, float volts, float amperes) {
  Frame frame = Vector();
  const std::int64_t ms = t_ms % 1000;
  frame[2] = static_cast<std::uint8_t>(t_ms / 1000);
  frame[3] = static_cast<std::uint8_t>(ms);
  frame[6] = static_cast<std::uint8_t>(ms % 100);
  PutFloat(frame, 46, volts);
  PutFloat(frame, 50, amperes);
  return WithSums(frame);
}

inline MutationCase Case() {
  // Far enough apart that each may follow the last again, around the wrap.
  return {.make = WitrnModel().make_decoder,
          .frames = {Vector(), Report(100'250, 9.0F, -1.5F), Report(200'999, 5.158F, 0.004F)},
          .max_voltage_v = 60,
          .max_current_a = 20,
          .stamps = Stamps::kRise,
          .seal = WithSums};
}

}  // namespace joulefarm::agent::witrn
