#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/workload/openai_client.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

OpenAiEvent Parsed(absl::string_view data) {
  const auto event = ParseOpenAiEvent(data);
  EXPECT_TRUE(event.ok()) << event.status();
  return event.ok() ? *event : OpenAiEvent();
}

TEST(ParseOpenAiEvent, TextIsWhatIsGenerated) {
  EXPECT_TRUE(Parsed(R"({"choices":[{"text":"a","finish_reason":null}]})").has_text);
  EXPECT_TRUE(Parsed(R"({"choices":[{"delta":{"content":"a"}}]})").has_text);
  EXPECT_TRUE(Parsed(R"({"choices":[{"delta":{"reasoning_content":"a"}}]})").has_text);
  EXPECT_FALSE(Parsed(R"({"choices":[{"delta":{"role":"assistant","content":null}}]})").has_text);
  EXPECT_FALSE(Parsed(R"({"choices":[{"delta":{"role":"assistant","content":""}}]})").has_text);
  EXPECT_FALSE(Parsed(R"({"choices":[{"text":""}]})").has_text);
}

TEST(ParseOpenAiEvent, TheEndAndItsReason) {
  EXPECT_EQ(Parsed(R"({"choices":[{"text":"","finish_reason":"length"}]})").stop, "limit");
  EXPECT_EQ(Parsed(R"({"choices":[{"text":"","finish_reason":"stop"}]})").stop, "eos");
  const OpenAiEvent filtered =
      Parsed(R"({"choices":[{"delta":{},"finish_reason":"content_filter"}]})");
  EXPECT_TRUE(filtered.finished);
  EXPECT_EQ(filtered.stop, "");
}

TEST(ParseOpenAiEvent, CountsComeFromUsageAlone) {
  const OpenAiEvent event =
      Parsed(R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,)"
             R"("prompt_tokens_details":{"cached_tokens":2}}})");
  EXPECT_EQ(event.n_prompt, 7);
  EXPECT_EQ(event.n_gen, 3);
  EXPECT_EQ(event.n_cached, 2);
  EXPECT_EQ(Parsed(R"({"choices":[{"text":"a"}],"usage":null})").n_gen, std::nullopt);
  EXPECT_EQ(Parsed(R"({"choices":[],"usage":{"completion_tokens":-3}})").n_gen, std::nullopt);
}

TEST(ParseOpenAiEvent, ErrorsAndGarbage) {
  EXPECT_EQ(ParseOpenAiEvent(R"({"error":{"message":"too long"}})").status().code(),
            absl::StatusCode::kFailedPrecondition);
  for (const char* data : {"", "x", "[]", "{}", R"({"content":"a","stop":false})"}) {
    EXPECT_EQ(ParseOpenAiEvent(data).status().code(), absl::StatusCode::kInvalidArgument) << data;
  }
}

TEST(OpenAiPaths, ABaseAddressOrTheWholeOne) {
  EXPECT_EQ(OpenAiPathsOf("/v1").generate, "/v1/completions");
  EXPECT_EQ(OpenAiPathsOf("/v1").models, "/v1/models");
  EXPECT_EQ(OpenAiPathsOf("/v1/completions").generate, "/v1/completions");
  EXPECT_EQ(OpenAiPathsOf("/v1/completions").models, "/v1/models");
  EXPECT_EQ(OpenAiPathsOf("/v1/chat/completions").generate, "/v1/chat/completions");
  EXPECT_EQ(OpenAiPathsOf("/v1/chat/completions").models, "/v1/models");
  EXPECT_EQ(OpenAiPathsOf("/v1/chat/completions").api, OpenAiApi::kChat);
  EXPECT_EQ(OpenAiPathsOf("").generate, "/completions");
}

TEST(OpenAiModels, ListsIds) {
  EXPECT_THAT(OpenAiModels(R"({"data":[{"id":"a"},{"id":"b"},{}]})"), ElementsAre("a", "b"));
  EXPECT_THAT(OpenAiModels("no json"), IsEmpty());
  EXPECT_THAT(OpenAiModels(R"({"data":3})"), IsEmpty());
}

}  // namespace
}  // namespace joulefarm::agent
