#include "common/experiment/selector.h"

#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace joulefarm {
namespace {

const Attributes kDevice = {{"os", "linux"},    {"ram_mib", "2048"},   {"cores", "8"},
                            {"zone", "lab1"},   {"cpu_model", "A, B"}, {"engine.llama.cpp", ""},
                            {"version", "1.10"}};

bool Matches(absl::string_view text) {
  const auto selector = Selector::Parse(text);
  EXPECT_TRUE(selector.ok()) << text << ": " << selector.status();
  return selector.ok() && selector->Matches(kDevice);
}

std::string Why(absl::string_view text) {
  const auto selector = Selector::Parse(text);
  EXPECT_TRUE(selector.ok()) << text << ": " << selector.status();
  return selector.ok() ? selector->ExplainMismatch(kDevice) : "";
}

std::string Refusal(absl::string_view text) {
  const auto selector = Selector::Parse(text);
  EXPECT_EQ(selector.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(selector.status().message());
}

TEST(Selector, EmptyMatchesEveryDevice) {
  EXPECT_TRUE(Matches(""));
  EXPECT_TRUE(Matches("  "));
}

TEST(Selector, ComparesTextsAndNumbers) {
  EXPECT_TRUE(Matches("os=linux"));
  EXPECT_FALSE(Matches("os=Linux"));
  EXPECT_TRUE(Matches("os!=android"));
  EXPECT_FALSE(Matches("os!=linux"));
  EXPECT_TRUE(Matches("ram_mib>=2048"));
  EXPECT_TRUE(Matches("ram_mib<=2048"));
  EXPECT_FALSE(Matches("ram_mib>2048"));
  EXPECT_FALSE(Matches("ram_mib<2048"));
  EXPECT_TRUE(Matches("ram_mib>1e3"));
  // As texts "8" > "16".
  EXPECT_FALSE(Matches("cores>=16"));
  EXPECT_TRUE(Matches("cores=8.0"));
  EXPECT_TRUE(Matches("version=1.1"));
  EXPECT_FALSE(Matches("os>=1"));
}

TEST(Selector, AllPredicatesMustHold) {
  EXPECT_TRUE(Matches("os=linux,ram_mib>=1024,zone=lab1"));
  EXPECT_FALSE(Matches("os=linux,ram_mib>=4096,zone=lab1"));
  EXPECT_TRUE(Matches(" os = linux , zone = lab1 "));
}

TEST(Selector, AMissingKeyNeverMatches) {
  EXPECT_FALSE(Matches("gpu=yes"));
  EXPECT_FALSE(Matches("gpu!=yes"));
  EXPECT_FALSE(Matches("gpu<5"));
}

TEST(Selector, TakesQuotedAndEmptyValues) {
  EXPECT_TRUE(Matches("cpu_model=\"A, B\""));
  EXPECT_TRUE(Matches("engine.llama.cpp="));
  EXPECT_FALSE(Matches("os="));
}

TEST(Selector, ExplainsTheFirstMismatch) {
  EXPECT_EQ(Why("os=linux"), "");
  EXPECT_EQ(Why("os=linux, ram_mib >= 4096 ,zone=x"), "ram_mib >= 4096 (it is 2048)");
  EXPECT_EQ(Why("ram_mb>=1"), "ram_mb>=1 (the device has no ram_mb; did you mean ram_mib?)");
  EXPECT_EQ(Why("gpu=yes"), "gpu=yes (the device has no gpu)");
  EXPECT_EQ(Why("engine.llama.cpp=b1"), "engine.llama.cpp=b1 (it is empty)");
}

TEST(Selector, ErrorsPoint) {
  EXPECT_EQ(Refusal("os"), "at character 3: after \"os\" one of = != >= <= > < was expected");
  EXPECT_EQ(Refusal("os linux"), "at character 4: after \"os\" one of = != >= <= > < was expected");
  EXPECT_EQ(Refusal("=linux"),
            "at character 1: a key was expected; write predicates such as os=linux");
  EXPECT_EQ(Refusal("os==linux"),
            "at character 4: one operator too many; use one of = != >= <= > <");
  EXPECT_EQ(Refusal("os=linux,"), "at character 10: a predicate was expected after the comma");
  EXPECT_EQ(Refusal("os=linux,,a=b"),
            "at character 10: a key was expected; write predicates such as os=linux");
  EXPECT_EQ(Refusal("ram_mib>=lots"),
            "at character 10: \"lots\" is not a number; texts compare with = and != only");
  EXPECT_EQ(Refusal("ram_mib>="), "at character 10: a number was expected after the operator");
  EXPECT_EQ(Refusal("ram_mib>=nan"),
            "at character 10: \"nan\" is not a number; texts compare with = and != only");
  EXPECT_EQ(Refusal("a=\"b"), "at character 3: the quote is never closed; add a \"");
  EXPECT_EQ(Refusal("a=\"b\"c"),
            "at character 6: a comma was expected; quote a value that contains quotes or commas");
  EXPECT_EQ(Refusal("labels: zone=lab1"),
            "at character 7: after \"labels\" one of = != >= <= > < was expected");
  EXPECT_THAT(Refusal(std::string(5000, 'a')), testing::HasSubstr("longer than 4096 bytes"));
}

TEST(Selector, SurvivesAnyBytes) {
  std::mt19937_64 random(5);
  const std::string alphabet = "ab=!<>,\" 1.\x00\xFF";
  for (int round = 0; round < 20000; ++round) {
    std::string text(random() % 12, ' ');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    const auto selector = Selector::Parse(text);
    if (selector.ok()) selector->ExplainMismatch(kDevice);
  }
}

}  // namespace
}  // namespace joulefarm
