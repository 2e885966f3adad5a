#include "common/gguf/model_claim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/gguf/gguf_writer.h"

namespace joulefarm {
namespace {

using testing::HasSubstr;

class ModelClaimTest : public testing::Test {
 protected:
  ModelClaimTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "jf-claim-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~ModelClaimTest() override { std::filesystem::remove_all(directory_); }

  absl::StatusOr<std::optional<GgufInfo>> Read(const std::string& name,
                                               const std::string& content) {
    const std::string path = (directory_ / "content").string();
    std::ofstream(path, std::ios::binary) << content;
    return ReadClaimedModel(name, path, "the file");
  }
  std::string Complaint(const std::string& name, const std::string& content) {
    const auto info = Read(name, content);
    EXPECT_TRUE(absl::IsInvalidArgument(info.status())) << info.status();
    return std::string(info.status().message());
  }

  std::filesystem::path directory_;
};

std::string Model() {
  GgufWriter writer;
  writer.AddString("general.architecture", "llama");
  writer.AddUint32("general.file_type", 1);
  writer.AddUint32("llama.context_length", 2048);
  writer.AddTensor("t", {4, 2}, GgmlType::kF16);
  std::ostringstream out;
  EXPECT_TRUE(writer.WriteHeader(out).ok());
  EXPECT_TRUE(writer.AppendData(out, "0123456789abcdef", 16).ok());
  return out.str();
}

TEST_F(ModelClaimTest, AModelIsReadWhateverItsName) {
  for (const char* name : {"m.gguf", "m", "M.GGUF"}) {
    const auto info = Read(name, Model());
    ASSERT_TRUE(info.ok()) << info.status();
    ASSERT_TRUE(info->has_value());
    EXPECT_EQ((*info)->architecture, "llama");
    EXPECT_EQ((*info)->quantisation, "F16");
    EXPECT_EQ((*info)->parameter_count, 8u);
    EXPECT_EQ((*info)->context_length, 2048u);
  }
}

TEST_F(ModelClaimTest, OtherFilesClaimNothing) {
  for (const char* content : {"", "text", "GGU"}) {
    const auto info = Read("notes.txt", content);
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_FALSE(info->has_value());
  }
}

TEST_F(ModelClaimTest, WhatIsNotWhatItClaimsIsToldWithACure) {
  EXPECT_THAT(Complaint("m.gguf", ""), HasSubstr("it is empty"));
  EXPECT_THAT(Complaint("m.gguf", "<html>"), HasSubstr("looks like a web page"));
  EXPECT_THAT(Complaint("m.gguf", "version https://git-lfs.github.com/spec/v1"),
              HasSubstr("git lfs pull"));
  EXPECT_THAT(Complaint("m.gguf", std::string("PK\x03\x04 some archive", 18)),
              HasSubstr("unpack it first"));
  EXPECT_THAT(Complaint("m.gguf", "some other text"), HasSubstr("download or convert it again"));
  const std::string model = Model();  // 16 bytes of data and as many of padding
  for (const std::size_t kept : {std::size_t{4}, std::size_t{20}, model.size() - 17}) {
    const std::string complaint = Complaint("m", model.substr(0, kept));
    EXPECT_THAT(complaint, HasSubstr("the file is not the GGUF model it claims to be"));
    EXPECT_THAT(complaint, HasSubstr("truncated"));
  }
}

TEST_F(ModelClaimTest, AFileThatIsNotThereIsNoClaim) {
  EXPECT_TRUE(absl::IsUnavailable(
      ReadClaimedModel("m.gguf", (directory_ / "none").string(), "the file").status()));
}

}  // namespace
}  // namespace joulefarm
