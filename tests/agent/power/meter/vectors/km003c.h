// Replies of a ChargerLAB KM003C.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/power/meter/km003c.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::km003c {

// Captured from real meters (okhsunrog/km003c-protocol-research, km003c-rs).
inline constexpr char kAdc1[] =
    "410080020100000b451c4d00ae9efeffdb1c4d00239ffeffe11c4d00819ffeffc90c8a100e0000000000787e008002"
    "00"
    "00000000";
inline constexpr char kAdc2[] =
    "410c82020100000be08d4d001e000000218e4d00eaffffff278e4d00480000001c0c9502737e000001007b7e0080a4"
    "0c"
    "00000000";
inline constexpr char kAdc4[] =
    "41d882020100000b30f88b009811ecff1fee8b00cee7ebff25ee8b00d9f0ebff400fda40100146174217977e00801a"
    "00"
    "53025102";
inline constexpr char kQueue[] =
    "413e0202020002050de80800d5c38c00598ce8ffdc401f015b17581701ea08000bac8c000255e9ff92401e01581754"
    "17";

// A derived reply of the queue at 1000 per second.
inline Frame Queued(const std::vector<std::uint16_t>& sequences) {
  Frame frame = {0x41, 0, 0, 0};
  const std::uint32_t header =
      0x002U | static_cast<std::uint32_t>(sequences.size()) << 16U | 20U << 22U;
  for (int i = 0; i < 4; ++i) frame.push_back(static_cast<std::uint8_t>(header >> (8 * i)));
  for (const std::uint16_t sequence : sequences) {
    Frame sample(20, 0);
    sample[0] = static_cast<std::uint8_t>(sequence);
    sample[1] = static_cast<std::uint8_t>(sequence >> 8U);
    sample[4] = 0x40;  // 1 V: 0x0F4240 uV
    sample[5] = 0x42;
    sample[6] = 0x0F;
    frame.insert(frame.end(), sample.begin(), sample.end());
  }
  return frame;
}

inline MutationCase Case() {
  return {.make = Km003cModel().make_decoder,
          .frames = {FromHex(kAdc1), FromHex(kQueue), FromHex(kAdc2), FromHex(kAdc4)},
          .max_voltage_v = 60,
          .max_current_a = 12,
          .stamps = Stamps::kRise};
}

}  // namespace joulefarm::agent::km003c
