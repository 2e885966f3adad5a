// Reports of a ChargerLAB FL001.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstdint>

#include "agent/power/meter/checksum.h"
#include "agent/power/meter/fl001.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::fl001 {

// meters.md, section 5: zeros up to the check sum.
inline Frame Vector() {
  Frame frame = FromHex("00033b40a333333f00000040233333402ccccd402ccccd41f4000041f40000010003");
  frame.resize(62);
  frame.push_back(0x4F);
  frame.push_back(0x6C);
  return frame;
}

inline Frame WithCrc(Frame frame) {
  frame.resize(64);
  const std::uint16_t crc = Crc16Modbus(Bytes(frame).subspan(0, 62));
  frame[62] = static_cast<std::uint8_t>(crc & 0xFF);
  frame[63] = static_cast<std::uint8_t>(crc >> 8);
  return frame;
}

inline MutationCase Case() {
  Frame other = Vector();
  other[4] ^= 0x40;
  return {.make = Fl001Model().make_decoder,
          .frames = {Vector(), WithCrc(other)},
          .max_voltage_v = 60,
          .max_current_a = 10,
          .seal = WithCrc};
}

}  // namespace joulefarm::agent::fl001
