#include "common/sha256/sha256.h"

#include <algorithm>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace joulefarm {
namespace {

constexpr char kEmpty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
// FIPS 180-4 examples.
constexpr char kTwoBlocks[] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
constexpr char kMillionA[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(Sha256Hex(""), kEmpty);
  EXPECT_EQ(Sha256Hex("abc"), kAbc);
  EXPECT_EQ(Sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), kTwoBlocks);
}

TEST(Sha256, PiecesGiveTheSameAsTheWhole) {
  const std::string piece(997, 'a');
  Sha256 sha;
  size_t left = 1000000;
  while (left > 0) {
    const size_t n = std::min(left, piece.size());
    sha.Update(absl::string_view(piece.data(), n));
    left -= n;
  }
  EXPECT_EQ(sha.HexDigest(), kMillionA);
}

TEST(Sha256, HexDigestStartsOver) {
  Sha256 sha;
  sha.Update("something else");
  sha.HexDigest();
  EXPECT_EQ(sha.HexDigest(), kEmpty);
  sha.Update("abc");
  EXPECT_EQ(sha.HexDigest(), kAbc);
}

TEST(Sha256, MovesWithItsState) {
  Sha256 sha;
  sha.Update("ab");
  Sha256 moved = std::move(sha);
  moved.Update("c");
  EXPECT_EQ(moved.HexDigest(), kAbc);
}

TEST(IsSha256Hex, TakesOneSpellingOnly) {
  EXPECT_TRUE(IsSha256Hex(kAbc));
  EXPECT_FALSE(IsSha256Hex(""));
  EXPECT_FALSE(IsSha256Hex(std::string(64, 'A')));
  EXPECT_FALSE(IsSha256Hex(std::string(63, 'a')));
  EXPECT_FALSE(IsSha256Hex(std::string(65, 'a')));
  EXPECT_FALSE(IsSha256Hex(std::string(63, 'a') + "g"));
}

}  // namespace
}  // namespace joulefarm
