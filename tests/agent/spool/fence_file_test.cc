#include "agent/spool/fence_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

TEST(FenceFileTest, WhatIsWrittenIsRead) {
  const TempDir dir;
  const auto path = dir.path() / "fences";
  const std::map<std::string, std::int64_t> fences = {{"phone 1", 7}, {"d", 9'000'000'000'000}};
  ASSERT_TRUE(WriteFenceFile(path, fences).ok());
  EXPECT_EQ(ReadFenceFile(path), fences);
}

TEST(FenceFileTest, MissingOrOddFilesGiveWhatTheyHave) {
  const TempDir dir;
  const auto path = dir.path() / "fences";
  EXPECT_TRUE(ReadFenceFile(path).empty());
  std::ofstream(path) << "12 d\nnonsense\n\n-3 e\n5\n 7 x\n9 d\n12";
  EXPECT_EQ(ReadFenceFile(path), (std::map<std::string, std::int64_t>{{"d", 12}}));
}

TEST(FenceFileTest, FolderThatIsNotThereIsAnError) {
  const TempDir dir;
  const absl::Status status = WriteFenceFile(dir.path() / "no" / "fences", {{"d", 1}});
  EXPECT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find("fences"), std::string::npos);
}

}  // namespace
}  // namespace joulefarm::agent
