// Reports of FNIRSI meters.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "agent/power/meter/checksum.h"
#include "agent/power/meter/fnirsi.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::fnirsi {

// meters.md, section 1.
inline const Frame& Vector() {
  static const Frame frame = FromHex(
      "aa0420a10700a08601008c0a8c0a01fa00a0bb0d00400d030058022c01012c01"
      "804f1200e093040000000000012d0180841e0020a1070000000000012e0100da");
  return frame;
}

inline Frame WithCrc(Frame frame) {
  frame.resize(64);
  frame[63] = Crc8(Bytes(frame).subspan(1, 62), 0x39, 0x42);
  return frame;
}

inline void Put32(Frame& frame, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) frame[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

// Four samples of the same, in units of 1e-5.
inline Frame Report(std::uint32_t volts, std::uint32_t amperes) {
  Frame frame(64);
  frame[0] = 0xAA;
  frame[1] = 0x04;
  for (std::size_t i = 0; i < 4; ++i) {
    Put32(frame, 2 + 15 * i, volts);
    Put32(frame, 6 + 15 * i, amperes);
  }
  return WithCrc(frame);
}

inline MutationCase Case() {
  return {.make = FnirsiModel().make_decoder,
          .frames = {Vector(), Report(500'000, 20'000), Report(0, 11)},
          .max_voltage_v = 60,
          .max_current_a = 10,
          .seal = WithCrc};
}

}  // namespace joulefarm::agent::fnirsi
