#include "common/sha256/sha256.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
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

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "jf-sha256-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

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

TEST(Sha256File, ReadsWholeFilesLargerThanItsBuffer) {
  const TempDir dir;
  const std::filesystem::path path = dir.path() / "a";
  std::ofstream(path, std::ios::binary) << std::string(1000000, 'a');
  const auto digest = Sha256File(path);
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(*digest, kMillionA);
}

TEST(Sha256File, NamesWhatCannotBeRead) {
  const TempDir dir;
  const auto missing = Sha256File(dir.path() / "none");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(std::string(missing.status().message()).find("none: No such file"), std::string::npos);
  EXPECT_EQ(Sha256File(dir.path()).status().code(), absl::StatusCode::kUnavailable);
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
