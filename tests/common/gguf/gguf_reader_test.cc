#include "common/gguf/gguf_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/common/gguf/small_model.h"

namespace joulefarm {
namespace {

using ::testing::HasSubstr;

// Just enough bytes by hand to say things the writer would refuse to.
class Bytes {
 public:
  template <typename T>
  Bytes& Int(T value) {
    for (size_t i = 0; i < sizeof(T); ++i) text_.push_back(static_cast<char>(value >> (8 * i)));
    return *this;
  }
  Bytes& U32(uint32_t value) { return Int(value); }
  Bytes& U64(uint64_t value) { return Int(value); }
  Bytes& Raw(absl::string_view text) {
    text_.append(text.data(), text.size());
    return *this;
  }
  Bytes& Str(absl::string_view text) { return U64(text.size()).Raw(text); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

Bytes Start(uint64_t tensors, uint64_t metadata, uint32_t version = 3) {
  return Bytes().Raw("GGUF").U32(version).U64(tensors).U64(metadata);
}

constexpr uint32_t kU32 = 4;
constexpr uint32_t kString = 8;
constexpr uint32_t kArray = 9;

Bytes& Architecture(Bytes& bytes) {
  return bytes.Str("general.architecture").U32(kString).Str("llama");
}

absl::Status StatusOf(const Bytes& bytes) {
  return ReadGguf(bytes.text(), GgufExtent::kWholeFile).status();
}

TEST(GgufReaderTest, ReadsWhatTheModelSays) {
  const std::string model = SmallModel();
  const auto info = ReadGguf(model, GgufExtent::kWholeFile);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->version, 3u);
  EXPECT_EQ(info->architecture, "llama");
  EXPECT_EQ(info->name, "small one");
  EXPECT_EQ(info->file_type, 1u);
  EXPECT_EQ(info->quantisation, "F16");
  EXPECT_EQ(info->parameter_count, 8u + 24u);
  EXPECT_EQ(info->tensor_count, 2u);
  EXPECT_EQ(info->context_length, 2048u);
  EXPECT_EQ(info->block_count, 6u);
  EXPECT_EQ(info->header_bytes % 32, 0u);
  EXPECT_EQ(model.size(), info->header_bytes + 32 + 64);
}

TEST(GgufReaderTest, AbsentIsAbsent) {
  Bytes bytes = Start(0, 1);
  const auto info = ReadGguf(Architecture(bytes).text(), GgufExtent::kWholeFile);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->name, std::nullopt);
  EXPECT_EQ(info->file_type, std::nullopt);
  EXPECT_EQ(info->context_length, std::nullopt);
  EXPECT_EQ(info->quantisation, "");
}

TEST(GgufReaderTest, Version2ReadsTheSame) {
  std::string model = SmallModel();
  model[4] = 2;
  const auto info = ReadGguf(model, GgufExtent::kWholeFile);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->version, 2u);
  EXPECT_EQ(info->parameter_count, 32u);
}

TEST(GgufReaderTest, NamesQuantisations) {
  for (const auto& [type, name] :
       std::initializer_list<std::pair<uint32_t, const char*>>{{0, "F32"},
                                                               {1, "F16"},
                                                               {7, "Q8_0"},
                                                               {15, "Q4_K_M"},
                                                               {32, "BF16"},
                                                               {1024 + 15, "Q4_K_M"}}) {
    Bytes bytes = Start(0, 2);
    Architecture(bytes).Str("general.file_type").U32(kU32).U32(type);
    const auto info = ReadGguf(bytes.text(), GgufExtent::kWholeFile);
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->quantisation, name);
  }
}

TEST(GgufReaderTest, WithoutFileTypeTheCommonestTensorTypeNamesIt) {
  Bytes bytes = Start(2, 1);
  Architecture(bytes);
  bytes.Str("norm").U32(1).U64(256).U32(0).U64(0);
  bytes.Str("weight").U32(2).U64(256).U64(4).U32(12).U64(1024);
  const auto info = ReadGguf(bytes.text(), GgufExtent::kPrefix);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->quantisation, "Q4_K");
}

TEST(GgufReaderTest, RefusesWhatIsNotGguf) {
  EXPECT_THAT(std::string(StatusOf(Bytes().Raw("#!/bin/sh\nexit 0\n")).message()),
              HasSubstr("not a GGUF file: it begins with '#!/b'"));
  EXPECT_EQ(StatusOf(Bytes().Raw("#!/bin/sh\nexit 0\n")).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(StatusOf(Bytes()).code(), absl::StatusCode::kOutOfRange);
}

TEST(GgufReaderTest, RefusesVersionsItDoesNotKnow) {
  EXPECT_THAT(std::string(StatusOf(Start(0, 0, 1)).message()), HasSubstr("version 1"));
  EXPECT_THAT(std::string(StatusOf(Start(0, 0, 4)).message()), HasSubstr("version 4"));
  EXPECT_THAT(std::string(StatusOf(Start(0, 0, 0x03000000)).message()), HasSubstr("big-endian"));
}

TEST(GgufReaderTest, RefusesAbsurdCountsAndLengths) {
  constexpr uint64_t kHuge = ~uint64_t{0};
  EXPECT_THAT(std::string(StatusOf(Start(kHuge, 1)).message()), HasSubstr("tensors"));
  EXPECT_THAT(std::string(StatusOf(Start(1, kHuge)).message()), HasSubstr("metadata entries"));
  EXPECT_THAT(std::string(StatusOf(Start(0, 1).U64(kHuge)).message()), HasSubstr("metadata key"));
  EXPECT_THAT(
      std::string(StatusOf(Start(0, 1).Str("general.name").U32(kString).U64(kHuge)).message()),
      HasSubstr("general.name"));
  EXPECT_EQ(StatusOf(Start(0, 1).Str("x").U32(kString).U64(kHuge)).code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(StatusOf(Start(0, 1).Str("x").U32(kArray).U32(10).U64(kHuge)).code(),
            absl::StatusCode::kOutOfRange);
  // 2^61 elements of 8 bytes: the product wraps to 0 in 64 bits.
  EXPECT_EQ(StatusOf(Start(0, 1).Str("x").U32(kArray).U32(10).U64(uint64_t{1} << 61)).code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(StatusOf(Start(0, 1).Str("x").U32(kArray).U32(kString).U64(kHuge)).code(),
            absl::StatusCode::kOutOfRange);
}

TEST(GgufReaderTest, RefusesContradictions) {
  EXPECT_THAT(std::string(StatusOf(Start(0, 0)).message()), HasSubstr("general.architecture"));
  EXPECT_THAT(std::string(StatusOf(Start(0, 1).Str("x").U32(99)).message()), HasSubstr("type 99"));
  Bytes twice = Start(0, 2);
  Architecture(Architecture(twice));
  EXPECT_THAT(std::string(StatusOf(twice).message()), HasSubstr("appears twice"));
  Bytes wrong_type = Start(0, 1);
  wrong_type.Str("general.architecture").U32(kU32).U32(7);
  EXPECT_THAT(std::string(StatusOf(wrong_type).message()), HasSubstr("general.architecture"));
  Bytes alignment = Start(0, 2);
  Architecture(alignment).Str("general.alignment").U32(kU32).U32(0);
  EXPECT_THAT(std::string(StatusOf(alignment).message()), HasSubstr("general.alignment"));
  Bytes nested = Start(0, 1);
  nested.Str("x").U32(kArray);
  for (int i = 0; i < 100; ++i) nested.U32(kArray).U64(1);
  EXPECT_THAT(std::string(StatusOf(nested).message()), HasSubstr("nests arrays"));
}

TEST(GgufReaderTest, RefusesAbsurdTensors) {
  const auto message = [](auto add) {
    Bytes bytes = Start(1, 1);
    Architecture(bytes).Str("weird");
    add(bytes);
    return std::string(StatusOf(bytes).message());
  };
  EXPECT_THAT(message([](Bytes& b) { b.U32(0); }), HasSubstr("'weird' has 0 dimensions"));
  EXPECT_THAT(message([](Bytes& b) { b.U32(5); }), HasSubstr("5 dimensions"));
  EXPECT_THAT(message([](Bytes& b) { b.U32(1).U64(0).U32(0).U64(0); }), HasSubstr("absurd size"));
  EXPECT_THAT(message([](Bytes& b) {
                b.U32(2).U64(uint64_t{1} << 40).U64(uint64_t{1} << 40).U32(0).U64(0);
              }),
              HasSubstr("absurd size"));
  EXPECT_THAT(message([](Bytes& b) { b.U32(1).U64(100).U32(12).U64(0); }), HasSubstr("Q4_K"));
  EXPECT_THAT(message([](Bytes& b) { b.U32(1).U64(8).U32(0).U64(~uint64_t{0}); }),
              HasSubstr("absurd place"));
  EXPECT_THAT(message([](Bytes& b) { b.U32(1).U64(8).U32(0).U64(uint64_t{1} << 50); }),
              HasSubstr("truncated"));
}

TEST(GgufReaderTest, NamesFromTheFileAreMadePrintable) {
  Bytes bytes = Start(0, 1);
  bytes.Str(absl::string_view("\x1b[31m\0evil", 10)).U32(99);
  const std::string message(StatusOf(bytes).message());
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_EQ(message.find('\0'), std::string::npos);
}

TEST(GgufReaderTest, EveryTruncationIsAnErrorThatSaysSo) {
  const std::string model = SmallModel();
  // Padding after the last tensor's data may be missing: nothing is lost with it.
  const size_t needed = model.size() - 16;
  for (size_t size = 0; size < needed; ++size) {
    // A copy of exactly this size, so that a read past the end is seen by the address sanitizer.
    const std::string cut(model, 0, size);
    const auto info = ReadGguf(cut, GgufExtent::kWholeFile);
    ASSERT_EQ(info.status().code(), absl::StatusCode::kOutOfRange) << size << ": " << info.status();
    EXPECT_THAT(std::string(info.status().message()), HasSubstr("truncated"));
  }
  EXPECT_TRUE(ReadGguf(model.substr(0, needed), GgufExtent::kWholeFile).ok());
}

TEST(GgufReaderTest, APrefixNeedsTheHeaderOnly) {
  const std::string model = SmallModel();
  const auto whole = ReadGguf(model, GgufExtent::kWholeFile);
  ASSERT_TRUE(whole.ok());
  const auto prefix = ReadGguf(model.substr(0, whole->header_bytes), GgufExtent::kPrefix);
  ASSERT_TRUE(prefix.ok()) << prefix.status();
  EXPECT_EQ(prefix->parameter_count, whole->parameter_count);
}

TEST(GgufReaderTest, EveryBitFlipIsReadOrRefused) {
  const std::string model = SmallModel();
  int refused = 0;
  for (size_t bit = 0; bit < model.size() * 8; ++bit) {
    std::string flipped = model;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto info = ReadGguf(flipped, GgufExtent::kWholeFile);
    if (!info.ok()) {
      ++refused;
      EXPECT_FALSE(info.status().message().empty());
    }
  }
  // Lengths, counts, types and the magic take up a good part of the header.
  EXPECT_GT(refused, 1000);
}

class GgufReaderFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "jf-gguf-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Write(absl::string_view name, absl::string_view text) {
    const std::string path = (folder_ / std::string(name)).string();
    std::ofstream(path, std::ios::binary)
        .write(text.data(), static_cast<std::streamsize>(text.size()));
    return path;
  }

  std::filesystem::path folder_;
};

TEST_F(GgufReaderFileTest, ReadsFiles) {
  const auto info = ReadGgufFile(Write("model.gguf", SmallModel()));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->architecture, "llama");
  EXPECT_EQ(info->parameter_count, 32u);
}

TEST_F(GgufReaderFileTest, RefusesTruncatedAndEmptyFiles) {
  const std::string model = SmallModel();
  EXPECT_EQ(ReadGgufFile(Write("cut.gguf", model.substr(0, model.size() / 2))).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ReadGgufFile(Write("empty.gguf", "")).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(GgufReaderFileTest, SaysWhichFileIsNotThere) {
  const std::string path = (folder_ / "no.gguf").string();
  const absl::Status status = ReadGgufFile(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
  EXPECT_EQ(ReadGgufFile(folder_.string()).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace joulefarm
