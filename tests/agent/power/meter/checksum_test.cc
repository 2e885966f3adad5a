#include "agent/power/meter/checksum.h"

#include <gtest/gtest.h>

#include "agent/power/meter/bytes.h"

namespace joulefarm::agent {
namespace {

constexpr std::uint8_t kCheck[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};

// The published check values of the algorithms.
TEST(ChecksumTest, CheckValues) {
  EXPECT_EQ(Crc8(kCheck, 0x39, 0x42), 0x4B);
  EXPECT_EQ(Crc8(kCheck, 0x07, 0x00), 0xF4);  // CRC-8/SMBUS
  EXPECT_EQ(Crc16Modbus(kCheck), 0x4B37);
  EXPECT_EQ(Sum8(kCheck), 477 % 256);
  EXPECT_EQ(Xor8(kCheck), 0x31);
}

TEST(ChecksumTest, OfNothing) {
  EXPECT_EQ(Crc8({}, 0x39, 0x42), 0x42);
  EXPECT_EQ(Crc16Modbus({}), 0xFFFF);
  EXPECT_EQ(Sum8({}), 0);
  EXPECT_EQ(Xor8({}), 0);
}

TEST(BytesTest, NumbersOfBothOrders) {
  constexpr std::uint8_t kBytes[] = {0x00, 0xFE, 0xFF, 0xFF, 0xFF, 0x3F, 0xC0, 0x00, 0x00};
  EXPECT_EQ(U16Le(kBytes, 1), 0xFFFE);
  EXPECT_EQ(I16Le(kBytes, 1), -2);
  EXPECT_EQ(U32Le(kBytes, 1), 0xFFFFFFFEU);
  EXPECT_EQ(I32Le(kBytes, 1), -2);
  EXPECT_EQ(U16Be(kBytes, 5), 0x3FC0);
  EXPECT_EQ(U32Be(kBytes, 5), 0x3FC00000U);
  EXPECT_EQ(U64Le(kBytes, 0), 0xC03FFFFFFFFE00ULL);
  EXPECT_EQ(F32Be(kBytes, 5), 1.5F);
  constexpr std::uint8_t kTurned[] = {0x00, 0x00, 0xC0, 0xBF};
  EXPECT_EQ(F32Le(kTurned, 0), -1.5F);
}

}  // namespace
}  // namespace joulefarm::agent
