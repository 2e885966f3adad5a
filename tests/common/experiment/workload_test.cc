#include <string>
#include <vector>

#include "common/config/scalar.h"
#include "common/experiment/placeholders.h"
#include "common/experiment/workload_kind.h"
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

TEST(Mentions, FindsANameInBracesOnly) {
  EXPECT_TRUE(Mentions({"--port", "x{port}y"}, "port"));
  EXPECT_FALSE(Mentions({"--port", "{ports}", "port}"}, "port"));
}

constexpr WorkloadKind kTypedKinds[] = {WorkloadKind::kGenerate, WorkloadKind::kThroughput};

TEST(FactorNames, AllFitTheJobSpec) {
  // What a file sets by name is copied into the kind's spec by the same name and type.
  for (const WorkloadKind kind : kTypedKinds) {
    v1::JobSpec spec;
    for (const std::string& key : FactorNames(kind)) {
      const auto* from = FactorField(kind, key);
      const auto* to = SpecOf(kind, &spec)->GetDescriptor()->FindFieldByName(key);
      ASSERT_NE(from, nullptr) << key;
      ASSERT_NE(to, nullptr) << key;
      EXPECT_EQ(from->cpp_type(), to->cpp_type()) << key;
      EXPECT_FALSE(from->is_repeated()) << key;
    }
  }
}

TEST(FactorNames, KindsThatShareAKeyShareItsValues) {
  for (const std::string& key : FactorNames(WorkloadKind::kThroughput)) {
    const auto* other = FactorField(WorkloadKind::kGenerate, key);
    if (other == nullptr) continue;
    const auto* field = FactorField(WorkloadKind::kThroughput, key);
    EXPECT_EQ(field->cpp_type(), other->cpp_type()) << key;
    EXPECT_EQ(field->options().SerializeAsString(), other->options().SerializeAsString()) << key;
  }
}

TEST(FactorField, KnowsNothingElse) {
  for (const char* key :
       {"kind", "prompts", "options", "command", "server", "workload", "model", "", "foo"}) {
    for (const WorkloadKind kind : kTypedKinds) EXPECT_EQ(FactorField(kind, key), nullptr) << key;
  }
  EXPECT_EQ(FactorField(WorkloadKind::kThroughput, "engine"), nullptr);
  EXPECT_EQ(FactorField(WorkloadKind::kCommand, "threads"), nullptr);
}

TEST(KindNamed, KnowsItsOwnNames) {
  for (const std::string& name : KindNames()) EXPECT_EQ(KindName(*KindNamed(name)), name);
  EXPECT_EQ(KindNamed("soak"), std::nullopt);
}

}  // namespace
}  // namespace joulefarm
