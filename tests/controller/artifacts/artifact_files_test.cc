#include "controller/artifacts/artifact_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
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

  static std::string Text(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string Store(const std::string& content) {
    const std::string hash = Sha256Hex(content);
    auto upload = *files_->Begin(hash, static_cast<std::int64_t>(content.size()), 0);
    EXPECT_TRUE(upload->Write(content).ok());
    EXPECT_TRUE(upload->Verify().ok());
    EXPECT_TRUE(upload->Publish().ok());
    return hash;
  }

  int Entries() const {
    return static_cast<int>(
        std::distance(std::filesystem::directory_iterator(directory_ / "artifacts"), {}));
  }

  std::filesystem::path directory_;
  std::unique_ptr<ArtifactFiles> files_;
};

TEST_F(ArtifactFilesTest, ContentAppearsUnderItsHashOnceItIsVerified) {
  const std::string hash = Sha256Hex("hello world");
  auto upload = files_->Begin(hash, 11, 0);
  ASSERT_TRUE(upload.ok()) << upload.status();
  ASSERT_TRUE((*upload)->Write("hello ").ok());
  EXPECT_FALSE(files_->Has(hash));
  ASSERT_TRUE((*upload)->Write("world").ok());
  ASSERT_TRUE((*upload)->Verify().ok());
  EXPECT_FALSE(files_->Has(hash));
  ASSERT_TRUE((*upload)->Publish().ok());
  EXPECT_TRUE(files_->Has(hash));
  EXPECT_EQ(Text(files_->PathOf(hash)), "hello world");
  upload->reset();
  EXPECT_TRUE(files_->Has(hash));
  EXPECT_EQ(Entries(), 1);
}

TEST_F(ArtifactFilesTest, OtherContentThanAnnouncedIsRefusedAndLeavesNothing) {
  {
    auto upload = files_->Begin(Sha256Hex("hello world"), 11, 0);
    ASSERT_TRUE((*upload)->Write("hello worlD").ok());
    const absl::Status status = (*upload)->Verify();
    EXPECT_TRUE(absl::IsDataLoss(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr("push it again"));
  }
  EXPECT_EQ(Entries(), 0);
  {
    auto upload = files_->Begin(Sha256Hex("hello world"), 11, 0);
    ASSERT_TRUE((*upload)->Write("hello").ok());
    EXPECT_TRUE(absl::IsOutOfRange((*upload)->Write(" world and more")));
  }
  EXPECT_EQ(Entries(), 0);
}

TEST_F(ArtifactFilesTest, AnInterruptedPushGoesOnWhereItStoppedAlsoAfterARestart) {
  const std::string hash = Sha256Hex("hello world");
  {
    auto upload = files_->Begin(hash, 11, 0);
    ASSERT_TRUE((*upload)->Write("hello ").ok());
    EXPECT_EQ(files_->PartialBytes(hash), 0) << "nobody else goes on with what is being written";
    const absl::Status status = (*upload)->Verify();
    EXPECT_TRUE(absl::IsDataLoss(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr("after 6 of 11 bytes"));
  }
  files_.reset();
  files_ = *ArtifactFiles::Open(directory_ / "artifacts");
  EXPECT_EQ(files_->PartialBytes(hash), 6);
  EXPECT_FALSE(files_->Has(hash));
  EXPECT_TRUE(absl::IsOutOfRange(files_->Begin(hash, 11, 7).status()));
  // From a place before its end as well: what is behind is written anew.
  auto upload = files_->Begin(hash, 11, 5);
  ASSERT_TRUE(upload.ok()) << upload.status();
  ASSERT_TRUE((*upload)->Write(" world").ok());
  ASSERT_TRUE((*upload)->Verify().ok());
  ASSERT_TRUE((*upload)->Publish().ok());
  EXPECT_EQ(Text(files_->PathOf(hash)), "hello world");
  EXPECT_EQ(Entries(), 1);
}

TEST_F(ArtifactFilesTest, AKeptBeginningThatIsWrongIsFoundAtTheEndAndThrownAway) {
  const std::string hash = Sha256Hex("hello world");
  std::ofstream(directory_ / "artifacts" / (hash + ".part")) << "jello ";
  {
    auto upload = files_->Begin(hash, 11, files_->PartialBytes(hash));
    ASSERT_TRUE((*upload)->Write("world").ok());
    EXPECT_TRUE(absl::IsDataLoss((*upload)->Verify()));
  }
  EXPECT_EQ(files_->PartialBytes(hash), 0);
  EXPECT_EQ(Entries(), 0);
}

TEST_F(ArtifactFilesTest, TwoPushesOfOneContentAtOnceBothSucceed) {
  const std::string hash = Sha256Hex("hello world");
  auto one = files_->Begin(hash, 11, 0);
  auto two = files_->Begin(hash, 11, 0);
  ASSERT_TRUE(one.ok() && two.ok());
  for (auto* upload : {&one, &two}) {
    ASSERT_TRUE((**upload)->Write("hello world").ok());
    ASSERT_TRUE((**upload)->Verify().ok());
    ASSERT_TRUE((**upload)->Publish().ok());
  }
  EXPECT_EQ(Text(files_->PathOf(hash)), "hello world");
  EXPECT_EQ(Entries(), 1);
}

TEST_F(ArtifactFilesTest, OldRemainsAreSweptYoungOnesAreNot) {
  const std::filesystem::path folder = directory_ / "artifacts";
  const std::filesystem::path old = folder / (Sha256Hex("old") + ".part");
  const std::filesystem::path young = folder / (Sha256Hex("young") + ".part");
  std::ofstream(folder / ".upload-abc") << "half";
  std::ofstream(folder / "keep") << "x";
  std::ofstream(old) << "half";
  std::ofstream(young) << "half";
  std::filesystem::last_write_time(
      old, std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 8));
  files_.reset();
  files_ = *ArtifactFiles::Open(folder);
  EXPECT_FALSE(std::filesystem::exists(old));
  EXPECT_TRUE(std::filesystem::exists(young));
  EXPECT_EQ(Entries(), 2);
}

TEST_F(ArtifactFilesTest, AFlippedByteIsFoundAtTheEndOfReadingAndSetAside) {
  const std::string hash = Store("hello world");
  std::fstream(files_->PathOf(hash), std::ios::in | std::ios::out).put('j');
  auto reader = files_->Read(hash, 0);
  ASSERT_TRUE(reader.ok());
  std::string piece;
  ASSERT_TRUE((*reader)->Next(8, piece).ok());
  EXPECT_EQ(piece, "jello wo");
  ASSERT_TRUE((*reader)->Next(8, piece).ok());
  const absl::Status end = (*reader)->Next(8, piece);
  EXPECT_TRUE(absl::IsDataLoss(end));
  EXPECT_THAT(std::string(end.message()), HasSubstr("push the file again"));
  EXPECT_FALSE(files_->Has(hash));
  const absl::Status later = files_->Read(hash, 0).status();
  EXPECT_TRUE(absl::IsNotFound(later));
  EXPECT_THAT(std::string(later.message()), HasSubstr("was found damaged"));
  EXPECT_EQ(Text(files_->PathOf(hash).string() + ".damaged"), "jello world");
}

TEST_F(ArtifactFilesTest, ReadingFromAnOffset) {
  const std::string hash = Store("hello world");
  auto reader = files_->Read(hash, 6);
  ASSERT_TRUE(reader.ok());
  std::string piece;
  ASSERT_TRUE((*reader)->Next(100, piece).ok());
  EXPECT_EQ(piece, "world");
  ASSERT_TRUE((*reader)->Next(100, piece).ok());
  EXPECT_EQ(piece, "");
  EXPECT_TRUE((*files_->Read(hash, 11))->Verify().ok());
  EXPECT_TRUE(absl::IsOutOfRange(files_->Read(hash, 12).status()));
  EXPECT_TRUE(absl::IsOutOfRange(files_->Read(hash, -1).status()));
  EXPECT_TRUE(absl::IsNotFound(files_->Read(Sha256Hex("other"), 0).status()));
}

TEST_F(ArtifactFilesTest, WhatIsBeingReadIsNotRemoved) {
  const std::string hash = Store("hello world");
  const auto contents = files_->Contents();
  ASSERT_TRUE(contents.ok());
  ASSERT_EQ(contents->size(), 1u);
  EXPECT_EQ(contents->front().sha256, hash);
  EXPECT_EQ(contents->front().size_bytes, 11);
  auto reader = files_->Read(hash, 0);
  EXPECT_TRUE(files_->InUse(hash));
  EXPECT_FALSE(files_->Remove(contents->front()));
  EXPECT_TRUE(files_->Has(hash));
  reader->reset();
  EXPECT_TRUE(files_->Remove(contents->front()));
  EXPECT_EQ(Entries(), 0);
}

TEST_F(ArtifactFilesTest, HashesAndNamesAreChecked) {
  EXPECT_FALSE(files_->Begin("../../etc/passwd", 1, 0).ok());
  EXPECT_FALSE(files_->Begin(std::string(64, 'G'), 1, 0).ok());
  EXPECT_FALSE(files_->Begin(Sha256Hex("x"), -1, 0).ok());
  EXPECT_FALSE(files_->Has("../artifacts"));
  EXPECT_TRUE(CheckArtifactName("llama-3.2_1B.Q4").ok());
  for (const char* name : {"", ".hidden", "-flag", "a/b", "a b", "ä"})
    EXPECT_FALSE(CheckArtifactName(name).ok()) << name;
  EXPECT_FALSE(CheckArtifactName(std::string(129, 'a')).ok());
}

}  // namespace
}  // namespace joulefarm::controller
