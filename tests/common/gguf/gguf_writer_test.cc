#include "common/gguf/gguf_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace joulefarm {
namespace {

using ::testing::HasSubstr;

TEST(GgufWriterTest, WritesTheBytesOfTheFormat) {
  GgufWriter writer;
  writer.AddUint32("k", 0x01020304);
  writer.AddTensor("t", {2}, GgmlType::kF16);
  std::ostringstream out;
  ASSERT_TRUE(writer.WriteHeader(out).ok());
  ASSERT_TRUE(writer.AppendData(out, "\x01\x02\x03\x04", 4).ok());
  ASSERT_TRUE(writer.Finish().ok());

  std::string expected("GGUF\3\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 24);
  expected += std::string("\1\0\0\0\0\0\0\0k\4\0\0\0\4\3\2\1", 17);
  expected += std::string("\1\0\0\0\0\0\0\0t\1\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0", 25);
  expected += std::string(8, '\0');  // the offset
  expected.resize(96, '\0');         // data begins at a multiple of 32
  expected += std::string("\1\2\3\4", 4) + std::string(28, '\0');
  EXPECT_EQ(out.str(), expected);
}

TEST(GgufWriterTest, DataMayComeInPieces) {
  const auto write = [](size_t piece) {
    GgufWriter writer;
    writer.AddTensor("a", {6}, GgmlType::kF32);
    writer.AddTensor("b", {12}, GgmlType::kF16);
    std::ostringstream out;
    EXPECT_TRUE(writer.WriteHeader(out).ok());
    const std::string data = "0123456789abcdefghijklmn";
    for (int tensor = 0; tensor < 2; ++tensor) {
      for (size_t at = 0; at < data.size(); at += piece) {
        EXPECT_TRUE(writer.AppendData(out, data.data() + at, piece).ok());
      }
    }
    EXPECT_TRUE(writer.Finish().ok());
    return out.str();
  };
  EXPECT_EQ(write(24), write(3));
}

TEST(GgufWriterTest, RefusesTooMuchData) {
  GgufWriter writer;
  writer.AddTensor("small", {1}, GgmlType::kF32);
  std::ostringstream out;
  ASSERT_TRUE(writer.WriteHeader(out).ok());
  const absl::Status status = writer.AppendData(out, "12345", 5);
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("small"));
  ASSERT_TRUE(writer.AppendData(out, "1234", 4).ok());
  EXPECT_EQ(writer.AppendData(out, "5", 1).code(), absl::StatusCode::kOutOfRange);
}

TEST(GgufWriterTest, FinishNamesTheTensorThatIsIncomplete) {
  GgufWriter writer;
  writer.AddTensor("first", {1}, GgmlType::kF32);
  writer.AddTensor("second", {1}, GgmlType::kF32);
  std::ostringstream out;
  ASSERT_TRUE(writer.WriteHeader(out).ok());
  ASSERT_TRUE(writer.AppendData(out, "1234", 4).ok());
  ASSERT_TRUE(writer.AppendData(out, "12", 2).ok());
  const absl::Status status = writer.Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("second"));
}

TEST(GgufWriterTest, RefusesImpossibleDimensions) {
  for (const std::vector<uint64_t>& dims : {std::vector<uint64_t>{}, std::vector<uint64_t>{4, 0},
                                            std::vector<uint64_t>{1, 1, 1, 1, 1}}) {
    GgufWriter writer;
    writer.AddTensor("t", dims, GgmlType::kF32);
    std::ostringstream out;
    EXPECT_EQ(writer.WriteHeader(out).code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(GgufWriterTest, AStreamThatFailsIsUnavailable) {
  GgufWriter writer;
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  EXPECT_EQ(writer.WriteHeader(out).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace joulefarm
