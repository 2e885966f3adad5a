// Any bytes may come over the network as an experiment: they end in a status, soon. Mutations of a
// good one are in tests/fuzz.
#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/config/yaml_proto.h"
#include "common/config/yaml_tree.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "joulefarm/config/v1/experiment.pb.h"
#include "tests/common/config/every_style.h"

namespace joulefarm {
namespace {

using testing::HasSubstr;

constexpr size_t kMegabyte = 1024 * 1024;

absl::Status Parse(absl::string_view text) {
  config::v1::Experiment experiment;
  SourceMap source;
  absl::Status status = ParseYaml(text, "f", &experiment, &source);
  // Whatever was taken up can be sent on: proto3 texts must be UTF-8.
  if (status.ok()) {
    std::string bytes;
    EXPECT_TRUE(experiment.SerializeToString(&bytes));
    EXPECT_TRUE(config::v1::Experiment().ParseFromString(bytes));
  }
  return status;
}

std::string Refusal(absl::string_view text) {
  const absl::Status status = Parse(text);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

std::string Repeated(absl::string_view piece, size_t bytes) {
  std::string out;
  out.reserve(bytes);
  while (out.size() + piece.size() <= bytes) out.append(piece.data(), piece.size());
  return out;
}

TEST(HostileYaml, Megabytes) {
  EXPECT_EQ(
      Refusal(Repeated("[", kMegabyte)),
      "f:1:1: a list or mapping that is not closed, or stands where a key must be; add the missing "
      "bracket, or write a text before the colon");
  EXPECT_EQ(Refusal(Repeated("[", 50) + Repeated("]", 50)),
            "f:1:33: nested deeper than 32 levels; no key of this file needs that");
  EXPECT_THAT(Refusal(Repeated("[", kMegabyte + 1)), HasSubstr("larger than 1048576 bytes"));
  EXPECT_THAT(Refusal(Repeated("- ", kMegabyte)), HasSubstr("nested deeper"));
  EXPECT_THAT(Refusal(Repeated("{a: ", kMegabyte)), HasSubstr("not closed"));
  EXPECT_THAT(Refusal("a: " + Repeated("[", kMegabyte / 4) + Repeated("]", kMegabyte / 4)),
              HasSubstr("nested deeper"));
  for (const char* piece :
       {"{", "]",    "}",      "? ",  ": ",    "a: ", "\"",   "'",  "|",     "\n",
        " ", "\t",   "#",      "&a ", "*a ",   "!",   "!a ",  "%",  "---\n", "...\n",
        "a", "a\n",  "a: 1\n", ",",   "- a\n", "\\",  "\"\\", "a,", "[],",   "{}",
        "-", "--- ", "<<",     "\r",  "@",     "`",   "> ",   "é",  "~",     "0"}) {
    EXPECT_FALSE(Parse(Repeated(piece, kMegabyte / 4)).ok()) << piece;
    EXPECT_FALSE(Parse(absl::StrCat("[", Repeated(piece, kMegabyte / 16))).ok()) << piece;
    EXPECT_FALSE(Parse(absl::StrCat("a: \"", Repeated(piece, kMegabyte / 16))).ok()) << piece;
  }
}

TEST(HostileYaml, ManyValues) {
  EXPECT_THAT(Refusal(absl::StrCat("matrix: {a: [", Repeated("1,", kMegabyte / 2), "1]}")),
              HasSubstr("more than 200000 values"));
  EXPECT_TRUE(Parse(absl::StrCat("matrix: {a: [", Repeated("1,", kMegabyte / 8), "1]}")).ok());
}

TEST(HostileYaml, ManyErrorsStayShort) {
  std::string keys;
  for (int i = 0; i < 90000; ++i) absl::StrAppend(&keys, "k", i, ": 1\n");
  EXPECT_LT(Refusal(keys).size(), 10000u);
}

TEST(HostileYaml, BillionLaughs) {
  std::string text = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 60; ++i) {
    absl::StrAppend(&text, "a", i, ": &a", i, " [*a", i - 1, ", *a", i - 1, "]\n");
  }
  EXPECT_THAT(Refusal(text), HasSubstr("aliases are not supported"));
}

TEST(HostileYaml, LongLinesOfFlowStayLinear) {
  // Finding columns must not rescan the line for each of 100 000 values.
  EXPECT_TRUE(Parse(absl::StrCat("matrix: {a: [", Repeated("\"é\",", kMegabyte / 2), "1]}")).ok());
}

TEST(HostileYaml, EveryPrefixOfAFile) {
  const std::string valid = kEveryStyle;
  for (size_t n = 0; n <= valid.size(); ++n) {
    const absl::Status status = Parse(valid.substr(0, n));
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(Parse(valid).ok()) << Parse(valid);
}

}  // namespace
}  // namespace joulefarm
