// Frames of a YZXStudio ZY1280.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "agent/power/meter/checksum.h"
#include "agent/power/meter/yzx.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::yzx {

// shared/design/meters.md, section 5.
inline constexpr const char* kFrame = "ab000622c80000d4300000800d000068420000905f01008c0a960afc";

inline Frame Sealed(Frame frame) {
  frame.resize(28);
  frame.back() = Sum8(Bytes(frame).subspan(0, frame.size() - 1));
  return frame;
}

inline Frame With(std::size_t at, std::uint8_t value) {
  Frame frame = FromHex(kFrame);
  frame[at] = value;
  return Sealed(frame);
}

inline MutationCase Case() {
  return {.make = YzxModel().make_decoder,
          .frames = {FromHex(kFrame), With(4, 0x10), With(8, 0x05)},
          .stream = true,
          .max_voltage_v = 30,
          .max_current_a = 12,
          .finish_refuses = true,
          .seal = Sealed,
          .sample_bytes = 28};
}

}  // namespace joulefarm::agent::yzx
