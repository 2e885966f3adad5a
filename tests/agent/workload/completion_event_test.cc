#include "agent/workload/completion_event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Verbatim from llama-server build 11669, generation_settings left out of the last.
constexpr char kHeldBack[] =
    R"({"index":0,"content":"�5","tokens":[56],"stop":false,"id_slot":-1,"tokens_predicted":3,"tokens_evaluated":8,"timings":{"cache_n":0,"prompt_n":8,"prompt_ms":4.388,"prompt_per_token_ms":0.5485,"prompt_per_second":1823.1540565177759,"predicted_n":3,"predicted_ms":2.025,"predicted_per_token_ms":1.0125,"predicted_per_second":987.6543209876544}})";
constexpr char kLast[] =
    R"({"index":0,"content":"","tokens":[],"id_slot":0,"stop":true,"model":"m.gguf","tokens_predicted":64,"tokens_evaluated":8,"prompt":"<s> the power of the model is energy","has_new_line":false,"truncated":false,"stop_type":"limit","stopping_word":"","tokens_cached":71,"timings":{"cache_n":0,"prompt_n":8,"prompt_ms":4.388,"predicted_n":64,"predicted_ms":54.087}})";

TEST(CompletionEvent, TokensHaveTheEnginesIndex) {
  const auto event = ParseCompletionEvent(kHeldBack);
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
  const auto event = ParseCompletionEvent(kLast);
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

TEST(CompletionEvent, ErrorBodiesAreRead) {
  EXPECT_EQ(ErrorMessageIn(R"({"error":{"code":400,"message":"too long","n_ctx":2048}})"),
            "too long");
  EXPECT_EQ(ErrorMessageIn(R"({"error":"plain"})"), "plain");
  EXPECT_EQ(ErrorMessageIn(R"({"error":{"code":1}})"), R"({"code":1})");
  EXPECT_EQ(ErrorMessageIn("Not Found"), "Not Found");
}

}  // namespace
}  // namespace joulefarm::agent
