// The generated model as a program makes it: the same bytes for the same seed, with the shape it
// claims.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "common/gguf/gguf_reader.h"

namespace joulefarm {
namespace {

class MakeModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "jf-make-model-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Path of a model made with these arguments; fails the test when the program does.
  std::string Make(const std::string& name, const std::string& arguments) {
    const std::string path = (folder_ / name).string();
    const std::string command = std::string(JOULEFARM_MAKE_MODEL) + " '" + path + "' " + arguments;
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    return path;
  }

  static std::string Contents(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  std::filesystem::path folder_;
};

uint64_t Fnv1a(const std::string& bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  return hash;
}

TEST_F(MakeModelTest, TheFullModelHasTheShapeItClaims) {
  const auto info = ReadGgufFile(Make("full.gguf", ""));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->architecture, "llama");
  EXPECT_EQ(info->quantisation, "F16");
  EXPECT_EQ(info->context_length, 4096u);
  EXPECT_EQ(info->block_count, 6u);
  EXPECT_EQ(info->tensor_count, 3u + 6u * 9u);
  EXPECT_EQ(info->parameter_count, 20789760u);
}

TEST_F(MakeModelTest, TheSameSeedGivesTheSameBytesOnEveryMachine) {
  const std::string first = Contents(Make("a.gguf", "--tiny --seed 7"));
  const std::string second = Contents(Make("b.gguf", "--tiny --seed 7"));
  EXPECT_EQ(first, second);
  EXPECT_EQ(Fnv1a(first), 0xfc3e15951790ae43u);
  EXPECT_NE(first, Contents(Make("c.gguf", "--tiny --seed 8")));
}

TEST_F(MakeModelTest, LeavesNothingBehindWhenItCannotWrite) {
  const std::string path = (folder_ / "no" / "such.gguf").string();
  const std::string command =
      std::string(JOULEFARM_MAKE_MODEL) + " '" + path + "' --tiny 2>/dev/null";
  EXPECT_NE(std::system(command.c_str()), 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

}  // namespace
}  // namespace joulefarm
