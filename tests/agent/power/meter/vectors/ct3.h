// Frames of an AVHzY CT-3.
//
// Threads: any. Ownership: values.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "agent/power/meter/checksum.h"
#include "agent/power/meter/ct3.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::ct3 {

// shared/design/meters.md, section 3.
inline constexpr const char* kData =
    "a52000000004000b000000a4400000003f00002440000030400000304015cd5b0700000000345a";
inline constexpr const char* kAck = "a50400000001090b80835a";

inline Frame Framed(const Frame& payload) {
  Frame frame = {0xA5, static_cast<std::uint8_t>(payload.size()), 0, 0, 0};
  frame.insert(frame.end(), payload.begin(), payload.end());
  frame.push_back(Xor8(payload));
  frame.push_back(0x5A);
  return frame;
}

// The payload of what is there, framed anew.
inline Frame Sealed(Frame frame) {
  frame.resize(std::clamp<std::size_t>(frame.size(), 7, 128 + 7));
  return Framed(Frame(frame.begin() + 5, frame.end() - 2));
}

template <typename T>
void Append(Frame& frame, T value) {
  std::array<std::uint8_t, sizeof(T)> bytes{};
  std::memcpy(bytes.data(), &value, sizeof(T));
  frame.insert(frame.end(), bytes.begin(), bytes.end());
}

inline Frame Data(const std::vector<float>& values, std::uint64_t us) {
  Frame payload = {0x04, 0x00, 0x01, 0x00};
  for (const float value : values) Append(payload, value);
  Append(payload, us);
  return Framed(payload);
}

inline MutationCase Case() {
  return {.make = Ct3Model().make_decoder,
          .frames = {FromHex(kData), Data({5.0F, -1.5F}, 123'457'789),
                     Data({20.0F, 3.0F, 60.0F}, 123'458'789)},
          .stream = true,
          .max_voltage_v = 36,
          .max_current_a = 10,
          .stamps = Stamps::kFallIfRefused,
          .finish_refuses = true,
          .seal = Sealed};
}

}  // namespace joulefarm::agent::ct3
