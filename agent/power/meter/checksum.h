// The check sums of the meters' protocols.
//
// Threads: any. Ownership: none.
#pragma once

#include <cstdint>

#include "agent/power/meter/decoder.h"

namespace joulefarm::agent {

// All bytes added, modulo 256.
inline std::uint8_t Sum8(Bytes bytes) {
  unsigned sum = 0;
  for (const std::uint8_t byte : bytes) sum += byte;
  return static_cast<std::uint8_t>(sum);
}

// All bytes xored.
inline std::uint8_t Xor8(Bytes bytes) {
  std::uint8_t all = 0;
  for (const std::uint8_t byte : bytes) all ^= byte;
  return all;
}

// Highest bit first, without reflection and without a final xor.
inline std::uint8_t Crc8(Bytes bytes, std::uint8_t polynomial, std::uint8_t initial) {
  unsigned crc = initial;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit)
      crc = ((crc << 1U) ^ ((crc & 0x80U) ? polynomial : 0U)) & 0xFF;
  }
  return static_cast<std::uint8_t>(crc);
}

// CRC-16/MODBUS: polynomial 0x8005 reflected, initial 0xFFFF.
inline std::uint16_t Crc16Modbus(Bytes bytes) {
  unsigned crc = 0xFFFF;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) ? 0xA001U : 0U);
  }
  return static_cast<std::uint16_t>(crc);
}

}  // namespace joulefarm::agent
