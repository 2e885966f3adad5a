#include "common/experiment/prompts.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace joulefarm {
namespace {

using testing::ElementsAre;

std::string Refusal(absl::string_view jsonl) {
  const auto prompts = PromptsFromJsonl(jsonl);
  EXPECT_EQ(prompts.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(prompts.status().message());
}

TEST(BuiltinPrompts, HasSetsOfDifferentSizes) {
  EXPECT_THAT(BuiltinPromptSets(), ElementsAre("long", "mixed", "short"));
  for (const std::string& name : BuiltinPromptSets()) {
    const auto* prompts = BuiltinPrompts(name);
    ASSERT_NE(prompts, nullptr);
    for (const std::string& prompt : *prompts) EXPECT_FALSE(prompt.empty());
  }
  EXPECT_EQ(BuiltinPrompts("none"), nullptr);
  ASSERT_NE(BuiltinPrompts(kDefaultPromptSet), nullptr);
  EXPECT_EQ(BuiltinPrompts("mixed")->size(), 5u);
  EXPECT_GT(BuiltinPrompts("long")->at(0).size(), 1000u);
}

TEST(PromptsFromJsonl, ReadsTheTextOfEachLine) {
  const auto prompts = PromptsFromJsonl("{\"text\": \"a\"}\r\n\n  {\"text\":\"b\\n\", \"x\": []}");
  ASSERT_TRUE(prompts.ok()) << prompts.status();
  EXPECT_THAT(*prompts, ElementsAre("a", "b\n"));
}

TEST(PromptsFromJsonl, NamesTheLine) {
  EXPECT_EQ(Refusal("{\"text\": \"a\"}\n{\"text\": "),
            "line 2 is not JSON; each line must be like {\"text\": \"a prompt\"}");
  EXPECT_THAT(Refusal("[1]"), testing::StartsWith("line 1 is not an object"));
  EXPECT_THAT(Refusal("{\"prompt\": \"a\"}"), testing::StartsWith("line 1 has no string \"text\""));
  EXPECT_THAT(Refusal("{\"text\": 5}"), testing::StartsWith("line 1 has no string \"text\""));
  EXPECT_THAT(Refusal("{\"text\": \"\"}"), testing::StartsWith("line 1 has an empty \"text\""));
  EXPECT_THAT(Refusal("\n\n"), testing::StartsWith("it has no prompt"));
  EXPECT_THAT(Refusal("{\"text\": \"\xFF\"}"), testing::StartsWith("line 1 is not JSON"));
}

TEST(PromptsFromJsonl, SurvivesDeepNesting) {
  EXPECT_THAT(Refusal(std::string(1000000, '[')), testing::StartsWith("line 1 is not JSON"));
}

}  // namespace
}  // namespace joulefarm
