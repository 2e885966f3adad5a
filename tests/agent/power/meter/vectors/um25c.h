// Replies of a RuiDeng UM25C.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "agent/power/meter/um25c.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::um25c {

// pyummeter's unit test: shared/design/meters.md, section 7.
inline Frame Published(const char* model) {
  return Joined({FromHex(model), FromHex("01fe 0148 00000688 0014 0044 0008 0000000b 00000038"),
                 Frame(72),
                 FromHex("0001 0002 0007 00000010 00000100 000a 000000f0 0000 0002 0004 0001869f "
                         "0002 688c")});
}

inline Frame With(std::size_t at, std::uint8_t value) {
  Frame frame = Published("09c9");
  frame[at] = value;
  return frame;
}

inline MutationCase Case() {
  return {.make = Um25cModel().make_decoder,
          .frames = {Published("09c9"), With(3, 0x80), Published("0963"), Published("0d4c")},
          .stream = true,
          .max_voltage_v = 30,
          .max_current_a = 6,
          .finish_refuses = true,
          .sample_bytes = 130};
}

}  // namespace joulefarm::agent::um25c
