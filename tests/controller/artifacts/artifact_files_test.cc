#include "controller/artifacts/artifact_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

namespace joulefarm::controller {
namespace {

using testing::HasSubstr;

class ArtifactFilesTest : public testing::Test {
 protected:
  ArtifactFilesTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "jf-artifacts-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    files_ = *ArtifactFiles::Open(directory_ / "artifacts");
  }
  ~ArtifactFilesTest() override { std::filesystem::remove_all(directory_); }

  int Entries() const {
    return static_cast<int>(
        std::distance(std::filesystem::directory_iterator(directory_ / "artifacts"), {}));
  }

  std::filesystem::path directory_;
  std::unique_ptr<ArtifactFiles> files_;
};

TEST_F(ArtifactFilesTest, ContentAppearsUnderItsHashOnceItIsVerified) {
  const std::string hash = Sha256Hex("hello world");
  auto upload = files_->Begin(hash, 11);
  ASSERT_TRUE(upload.ok());
  ASSERT_TRUE((*upload)->Write("hello ").ok());
  EXPECT_FALSE(files_->Has(hash));
  ASSERT_TRUE((*upload)->Write("world").ok());
  ASSERT_TRUE((*upload)->Commit().ok());
  EXPECT_TRUE(files_->Has(hash));
  std::ifstream file(files_->PathOf(hash));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(text, "hello world");
  upload->reset();
  EXPECT_TRUE(files_->Has(hash));
  EXPECT_EQ(Entries(), 1);
}

TEST_F(ArtifactFilesTest, OtherContentThanAnnouncedIsRefusedAndLeavesNothing) {
  {
    auto upload = files_->Begin(Sha256Hex("hello world"), 11);
    ASSERT_TRUE((*upload)->Write("hello worlD").ok());
    const absl::Status status = (*upload)->Commit();
    EXPECT_TRUE(absl::IsDataLoss(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr("push it again"));
  }
  {
    auto upload = files_->Begin(Sha256Hex("hello world"), 11);
    ASSERT_TRUE((*upload)->Write("hello").ok());
    EXPECT_TRUE(absl::IsDataLoss((*upload)->Commit()));
    EXPECT_TRUE(absl::IsOutOfRange((*upload)->Write(" world and more")));
  }
  EXPECT_EQ(Entries(), 0);
}

TEST_F(ArtifactFilesTest, WhatAnUnfinishedUploadLeftIsSweptAtTheNextStart) {
  std::ofstream(directory_ / "artifacts" / ".upload-abc") << "half";
  std::ofstream(directory_ / "artifacts" / "keep") << "x";
  files_ = *ArtifactFiles::Open(directory_ / "artifacts");
  EXPECT_EQ(Entries(), 1);
}

TEST_F(ArtifactFilesTest, HashesAndNamesAreChecked) {
  EXPECT_FALSE(files_->Begin("../../etc/passwd", 1).ok());
  EXPECT_FALSE(files_->Begin(std::string(64, 'G'), 1).ok());
  EXPECT_FALSE(files_->Begin(Sha256Hex("x"), -1).ok());
  EXPECT_FALSE(files_->Has("../artifacts"));
  EXPECT_TRUE(CheckArtifactName("llama-3.2_1B.Q4").ok());
  for (const char* name : {"", ".hidden", "-flag", "a/b", "a b", "ä"})
    EXPECT_FALSE(CheckArtifactName(name).ok()) << name;
  EXPECT_FALSE(CheckArtifactName(std::string(129, 'a')).ok());
}

}  // namespace
}  // namespace joulefarm::controller
