#include "common/crc32c/crc32c.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace joulefarm {
namespace {

// Bit by bit, straight from the polynomial: slow and independent of the tables.
std::uint32_t BitwiseCrc32c(const std::string& data) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char c : data) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1u) != 0 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
    }
  }
  return crc ^ 0xFFFFFFFFu;
}

TEST(Crc32cTest, CheckValue) { EXPECT_EQ(Crc32c("123456789"), 0xE3069283u); }

TEST(Crc32cTest, EmptyIsZero) { EXPECT_EQ(Crc32c(""), 0u); }

// The examples of RFC 3720, B.4.
TEST(Crc32cTest, Rfc3720Vectors) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  std::string up;
  std::string down;
  for (int i = 0; i < 32; ++i) {
    up.push_back(static_cast<char>(i));
    down.push_back(static_cast<char>(31 - i));
  }
  EXPECT_EQ(Crc32c(up), 0x46DD794Eu);
  EXPECT_EQ(Crc32c(down), 0x113FDB5Cu);
}

TEST(Crc32cTest, EveryLengthAndAlignmentAgreesWithTheDefinition) {
  std::string data;
  std::uint32_t state = 1;
  for (int i = 0; i < 80; ++i) {
    state = state * 1664525u + 1013904223u;
    data.push_back(static_cast<char>(state >> 24));
  }
  for (std::size_t start = 0; start < 9; ++start) {
    for (std::size_t length = 0; start + length <= data.size(); ++length) {
      const std::string part = data.substr(start, length);
      EXPECT_EQ(Crc32c(absl::string_view(data).substr(start, length)), BitwiseCrc32c(part));
      EXPECT_EQ(Crc32cPortable(absl::string_view(data).substr(start, length)), BitwiseCrc32c(part));
    }
  }
}

TEST(Crc32cTest, OneFlippedBitIsSeen) {
  std::string data(1000, 'x');
  const std::uint32_t good = Crc32c(data);
  data[777] ^= 0x10;
  EXPECT_NE(Crc32c(data), good);
}

}  // namespace
}  // namespace joulefarm
