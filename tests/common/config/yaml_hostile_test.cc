// Any bytes may come over the network as an experiment: they end in a status, soon.
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/yaml_proto.h"
#include "common/config/yaml_tree.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "joulefarm/config/v1/experiment.pb.h"

namespace joulefarm {
namespace {

using testing::HasSubstr;

constexpr size_t kMegabyte = 1024 * 1024;

constexpr char kValid[] = R"(# fuzz seed
name: quant-sweep
workloads:
  chat:
    kind: generate
    prompts: [{text: "Sch\u00f6n \"guten\" Tag"}, {text: 'it''s'}]
    max_tokens: 64
    options: {temperature: 0.0, top_k: 1, ctx: 2048, ignore_eos: true}
  block:
    kind: generate
    prompts:
      - text: |
          several
          lines
      - text: >-
          folded
  run: {kind: command, command: ["prog", "--threads", "{threads}"]}
matrix:
  model: [tiny-f16, tiny-q8_0]
  threads: [1, 2]
exclude:
  - {model: tiny-f16, threads: 1}
devices: {selector: "os=linux,ram_mib>=1024", count: all}
plan: {settle: 30s, idle: 10s}
)";

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
  const std::string valid = kValid;
  for (size_t n = 0; n <= valid.size(); ++n) {
    const absl::Status status = Parse(valid.substr(0, n));
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(Parse(valid).ok()) << Parse(valid);
}

TEST(HostileYaml, RandomMutations) {
  std::mt19937_64 random(20240607);
  const std::string valid = kValid;
  const std::string spice = "[]{}:,-?&*!|>'\"%@`#\n\t \\~<=0aé\xFF\x01";
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = valid;
    const size_t edits = 1 + random() % 6;
    for (size_t i = 0; i < edits; ++i) {
      const size_t at = random() % (text.size() + 1);
      switch (random() % 4) {
        case 0:
          text.insert(at, 1, spice[random() % spice.size()]);
          break;
        case 1:
          text.erase(at, random() % 8);
          break;
        case 2:
          if (at < text.size()) text[at] = spice[random() % spice.size()];
          break;
        default: {
          const std::string piece = text.substr(random() % text.size(), random() % 40);
          text.insert(at, piece);
        }
      }
    }
    const absl::Status status = Parse(text);
    if (status.ok()) {
      ++accepted;
    } else {
      ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
      ASSERT_EQ(status.message().substr(0, 2), "f:") << text;
    }
  }
  // The mutations are neither all harmless nor all fatal.
  EXPECT_GT(accepted, 500);
  EXPECT_LT(accepted, 15000);
}

TEST(HostileYaml, RandomBytes) {
  std::mt19937_64 random(99);
  for (int round = 0; round < 5000; ++round) {
    std::string text(random() % 200, ' ');
    for (char& c : text) c = static_cast<char>(random());
    EXPECT_NE(Parse(text).code(), absl::StatusCode::kInternal);
    for (char& c : text) c = static_cast<char>(32 + (static_cast<unsigned char>(c) % 95));
    EXPECT_NE(Parse(text).code(), absl::StatusCode::kInternal);
  }
}

}  // namespace
}  // namespace joulefarm
