#include "agent/workload/completion_event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/workload/recorded.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(CompletionEvent, TokensHaveTheEnginesIndex) {
  const auto event = ParseCompletionEvent(kHeldBackEvent);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_FALSE(event->final);
  EXPECT_EQ(event->index, 3);
  EXPECT_THAT(event->ids, ElementsAre(56));
  EXPECT_TRUE(event->has_content);
  EXPECT_EQ(event->n_prompt, 8);
  EXPECT_EQ(event->n_evaluated, 8);
  EXPECT_EQ(event->n_cached, 0);
  EXPECT_EQ(event->prompt_ms, 4.388);
  EXPECT_EQ(event->stop, "");
}

TEST(CompletionEvent, TheLastHasTheTotals) {
  const auto event = ParseCompletionEvent(kLastEvent);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_TRUE(event->final);
  EXPECT_EQ(event->index, 64);
  EXPECT_THAT(event->ids, IsEmpty());
  EXPECT_FALSE(event->has_content);
  EXPECT_EQ(event->stop, "limit");
}

TEST(CompletionEvent, OlderNamesAreUnderstood) {
  EXPECT_EQ(
      ParseCompletionEvent(R"({"content":"","stop":true,"stopped_eos":true,"tokens_predicted":3})")
          ->stop,
      "eos");
  EXPECT_EQ(ParseCompletionEvent(R"({"content":"a","tokens_predicted":3})")->index, 3);
  EXPECT_FALSE(ParseCompletionEvent(R"({"content":"a"})")->index.has_value());
}

TEST(CompletionEvent, WrongTypesAreAbsentNotFatal) {
  const auto event = ParseCompletionEvent(
      R"({"content":"a","tokens":["x",null,7],"stop":"no","timings":{"predicted_n":"3","prompt_n":-1,"cache_n":99999999999,"prompt_ms":"x"}})");
  ASSERT_TRUE(event.ok());
  EXPECT_THAT(event->ids, ElementsAre(7));
  EXPECT_FALSE(event->index || event->n_evaluated || event->n_cached || event->prompt_ms ||
               event->final);
}

TEST(CompletionEvent, GarbageAndErrorsAreTold) {
  for (const char* garbage : {"", "{", "[]", "7", "{\"x\":1}", "{\"content\":7}", "\xff\xfe"}) {
    EXPECT_EQ(ParseCompletionEvent(garbage).status().code(), absl::StatusCode::kInvalidArgument)
        << garbage;
  }
  const auto error = ParseCompletionEvent(R"({"error":{"code":500,"message":"no room"}})");
  EXPECT_EQ(error.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(error.status().message()), HasSubstr("no room"));
}

TEST(CompletionEvent, WhatCannotBeIsAbsent) {
  const auto event = ParseCompletionEvent(
      R"({"content":"a","tokens":[1,-1,4294967301,7],"timings":{"prompt_ms":-3.5}})");
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_THAT(event->ids, ElementsAre(1, 7));
  EXPECT_EQ(event->prompt_ms, std::nullopt);
}

// Writing it out would take more stack than there is.
TEST(CompletionEvent, NothingIsNestedBeyondSense) {
  constexpr std::size_t kLevels = 1'000'000;
  const std::string deep =
      "{\"error\":" + std::string(kLevels, '[') + std::string(kLevels, ']') + "}";
  EXPECT_EQ(ParseCompletionEvent(deep).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(ErrorMessageIn(deep), HasSubstr("[[["));
  const auto brackets = ParseCompletionEvent("{\"content\":\"" + std::string(200, '[') + "\"}");
  EXPECT_TRUE(brackets.ok()) << "text is not nested: " << brackets.status();
}

TEST(CompletionEvent, ErrorBodiesAreRead) {
  EXPECT_EQ(ErrorMessageIn(R"({"error":{"code":400,"message":"too long","n_ctx":2048}})"),
            "too long");
  EXPECT_EQ(ErrorMessageIn(R"({"error":"plain"})"), "plain");
  EXPECT_EQ(ErrorMessageIn(R"({"error":{"code":1}})"), R"({"code":1})");
  EXPECT_EQ(ErrorMessageIn("Not Found"), "Not Found");
}

}  // namespace
}  // namespace joulefarm::agent
