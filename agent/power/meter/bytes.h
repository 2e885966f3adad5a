// Numbers out of the bytes of a frame. The caller has checked that they are there.
//
// Threads: any. Ownership: none.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "agent/power/meter/decoder.h"

namespace joulefarm::agent {

inline std::uint16_t U16Le(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] | bytes[at + 1] << 8);
}
inline std::uint32_t U32Le(Bytes bytes, std::size_t at) {
  return std::uint32_t{U16Le(bytes, at)} | std::uint32_t{U16Le(bytes, at + 2)} << 16U;
}
inline std::uint64_t U64Le(Bytes bytes, std::size_t at) {
  return std::uint64_t{U32Le(bytes, at)} | std::uint64_t{U32Le(bytes, at + 4)} << 32U;
}
inline std::uint16_t U16Be(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}
inline std::uint32_t U32Be(Bytes bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24U | std::uint32_t{bytes[at + 1]} << 16U |
         std::uint32_t{bytes[at + 2]} << 8U | std::uint32_t{bytes[at + 3]};
}
inline std::int16_t I16Le(Bytes bytes, std::size_t at) {
  return static_cast<std::int16_t>(U16Le(bytes, at));
}
inline std::int32_t I32Le(Bytes bytes, std::size_t at) {
  return static_cast<std::int32_t>(U32Le(bytes, at));
}
inline float F32Le(Bytes bytes, std::size_t at) { return std::bit_cast<float>(U32Le(bytes, at)); }
inline float F32Be(Bytes bytes, std::size_t at) { return std::bit_cast<float>(U32Be(bytes, at)); }

}  // namespace joulefarm::agent
