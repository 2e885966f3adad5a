#include "common/experiment/workload.h"

#include <string>
#include <vector>

#include "common/config/scalar.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace joulefarm {
namespace {

std::string Expanded(absl::string_view argument) {
  v1::ModelRef model;
  model.set_name("tiny");
  model.set_sha256("abc");
  model.set_quant("Q8_0");
  return ExpandArgument(argument,
                        {.factors = {{"threads", "2"}, {"x", "{threads}"}}, .model = &model});
}

TEST(ExpandArgument, ReplacesFactorsAndFacts) {
  EXPECT_EQ(Expanded("--threads={threads}"), "--threads=2");
  EXPECT_EQ(Expanded("{threads}{threads}"), "22");
  EXPECT_EQ(Expanded("{model.name}:{model.sha256}:{model.quant}"), "tiny:abc:Q8_0");
}

TEST(ExpandArgument, LeavesOtherBraces) {
  for (const char* text :
       {"{model.path}", "{unknown}", "{}", "{", "}", "{{", "a{b", "{threads", "threads}",
        "awk '{print $1}'", "{ threads }", "{\"a\": {\"b\": 1}}", ""}) {
    EXPECT_EQ(Expanded(text), text);
  }
  EXPECT_EQ(Expanded("{{threads}}"), "{2}");
  EXPECT_EQ(Expanded("{a{threads}b}"), "{a2b}");
  EXPECT_EQ(Expanded("{unknown}{threads}{unknown}"), "{unknown}2{unknown}");
}

TEST(ExpandArgument, DoesNotExpandWhatItPutIn) { EXPECT_EQ(Expanded("{x}"), "{threads}"); }

TEST(ExpandArgument, WithoutAModelItsFactsStay) {
  EXPECT_EQ(ExpandArgument("{model.name}", {}), "{model.name}");
}

TEST(ModelFactsIn, FindsThemAnywhere) {
  EXPECT_THAT(ModelFactsIn({"a", "x{model.path}{b}", "{{model.quant}}"}),
              testing::ElementsAre("model.path", "model.quant"));
  EXPECT_TRUE(ModelFactsIn({"{model}", "model.path", "{models.path}"}).empty());
}

TEST(GenerateFactors, AllFitTheJobSpec) {
  // What a file sets by name is copied into GenerateSpec by the same name and type.
  for (const std::string& key : GenerateFactors()) {
    const auto* from = GenerateFactor(key);
    const auto* to = v1::GenerateSpec::descriptor()->FindFieldByName(key);
    ASSERT_NE(from, nullptr) << key;
    ASSERT_NE(to, nullptr) << key;
    EXPECT_EQ(from->cpp_type(), to->cpp_type()) << key;
    EXPECT_FALSE(from->is_repeated()) << key;
  }
}

TEST(GenerateFactor, KnowsNothingElse) {
  for (const char* key :
       {"kind", "prompts", "options", "command", "workload", "model", "", "foo"}) {
    EXPECT_EQ(GenerateFactor(key), nullptr) << key;
  }
}

}  // namespace
}  // namespace joulefarm
