#include "agent/workload/bench_times.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "agent/process/boottime.h"
#include "agent/workload/arrival_bound.h"

namespace joulefarm::agent {
namespace {

using What = BenchProgress::What;

TEST(ParseBenchProgress, KnowsTheLinesOfBuild11669) {
  const auto what = [](absl::string_view line) {
    const auto progress = ParseBenchProgress(line);
    return progress ? std::optional(progress->what) : std::nullopt;
  };
  EXPECT_EQ(what("llama-bench: benchmark 1/2: starting"), What::kStarting);
  EXPECT_EQ(what("llama-bench: benchmark 1/2: warmup prompt run"), What::kWarmup);
  EXPECT_EQ(what("llama-bench: benchmark 1/2: depth run 1/3"), What::kDepth);
  EXPECT_EQ(what("llama-bench: benchmark 1/2: depth run 2/3 (cached)"), What::kDepth);
  const auto prompt = ParseBenchProgress("llama-bench: benchmark 1/2: prompt run 2/3");
  ASSERT_TRUE(prompt);
  EXPECT_EQ(prompt->what, What::kRepetition);
  EXPECT_EQ(prompt->test, BenchTest::kPrompt);
  EXPECT_EQ(prompt->repetition, 1);
  const auto generation = ParseBenchProgress("llama-bench: benchmark 2/2: generation run 10/10");
  ASSERT_TRUE(generation);
  EXPECT_EQ(generation->test, BenchTest::kGeneration);
  EXPECT_EQ(generation->repetition, 9);
}

TEST(ParseBenchProgress, LeavesTheRestToTheLog) {
  for (const char* line : {"", "llama-bench: benchmark ", "llama-bench: benchmark 1/2",
                           "llama-bench: benchmark x/2: "
                           "starting",
                           "llama-bench: benchmark 1/2: prompt run",
                           "llama-bench: benchmark 1/2: prompt "
                           "run 0/3",
                           "llama-bench: benchmark 1/2: prompt run a/3", "load_backend: loaded"}) {
    EXPECT_FALSE(ParseBenchProgress(line)) << line;
  }
}

TEST(ParseBenchResult, TakesTheSamples) {
  const auto result = ParseBenchResult(
      R"({"build_commit":"Debian","build_number":11669,"n_prompt":64,"n_gen":0,"n_depth":8,)"
      R"("avg_ns":3,"samples_ns":[ 30721185, 28616122 ],"samples_ts":[2083.2,2236.5]})");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->n_prompt, 64);
  EXPECT_EQ(result->n_depth, 8);
  EXPECT_EQ(result->samples_ns, (std::vector<std::int64_t>{30721185, 28616122}));
  EXPECT_EQ(result->build, "11669 (Debian)");
}

TEST(ParseBenchResult, RefusesGarbage) {
  for (const char* line : {"", "{", "[]", "{}", R"({"n_prompt":1,"n_gen":0})",
                           R"({"n_prompt":1,"n_gen":0,"samples_ns":3})",
                           R"({"n_prompt":-1,"n_gen":0,"samples_ns":[3]})",
                           R"({"n_prompt":1,"n_gen":0,"samples_ns":[0]})",
                           R"({"n_prompt":1,"n_gen":0,"samples_ns":["3"]})"}) {
    EXPECT_FALSE(ParseBenchResult(line).ok()) << line;
  }
}

TEST(PlaceRepetitions, PromptLinesHaveANarrowBound) {
  const auto spans = PlaceRepetitions({{990, 1000}, {1095, 1110}}, {100, 50}, 1200);
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[0].start_ns, 1000);
  EXPECT_EQ(spans[0].end_ns, 1100);
  EXPECT_EQ(spans[0].bound_ns, 10);
  EXPECT_EQ(spans[1].start_ns, 1110);
  EXPECT_EQ(spans[1].bound_ns, 15);
  EXPECT_TRUE(spans[0].fits);
}

TEST(PlaceRepetitions, ALateArrivalIsPulledBackByWhatFollows) {
  // The first line was read 80 late: the second says that the first had ended by 1110.
  const auto spans = PlaceRepetitions({{0, 1090}, {1105, 1110}}, {100, 50}, 1200);
  EXPECT_EQ(spans[0].start_ns, 1010);
  EXPECT_EQ(spans[0].end_ns, spans[1].start_ns);
  EXPECT_EQ(spans[0].bound_ns, 1010);  // nothing says when it began at the earliest
  EXPECT_EQ(spans[1].bound_ns, 5);
}

TEST(PlaceRepetitions, ALateArrivalIsBoundedByWhatPrecedes) {
  // Nothing is known of the second line but that it came after the first repetition's end.
  const auto spans = PlaceRepetitions({{1000, 1000}, {0, 1300}}, {100, 50}, 2000);
  EXPECT_EQ(spans[1].start_ns, 1300);
  EXPECT_EQ(spans[1].bound_ns, 200);
}

TEST(PlaceRepetitions, TheLastEndsBeforeTheResultCame) {
  const auto spans = PlaceRepetitions({{1000, 1040}}, {100}, 1110);
  EXPECT_EQ(spans[0].start_ns, 1010);
  EXPECT_EQ(spans[0].bound_ns, 10);
}

TEST(PlaceRepetitions, SpansNeverOverlapAndImpossibleOnesAreTold) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const auto spans = PlaceRepetitions({{10 * kSecond, 10 * kSecond}, {11 * kSecond, 11 * kSecond}},
                                      {2 * kSecond, kSecond}, 12 * kSecond);
  EXPECT_EQ(spans[0].end_ns, spans[1].start_ns);
  EXPECT_FALSE(spans[0].fits);
  EXPECT_EQ(spans[0].bound_ns, kSecond);
  // A clock that was slewed by 1 part in 2 000 is no fault.
  EXPECT_TRUE(PlaceRepetitions({{0, 0}}, {1'000'500'000}, 1'000'000'000)[0].fits);
}

TEST(FitIntoSpan, SumsAreBoundedAndDoNotOverflow) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  EXPECT_TRUE(FitIntoSpan({kSecond / 2, kSecond / 2}, kSecond));
  EXPECT_TRUE(FitIntoSpan({kSecond / 2, kSecond / 2 + 1'500'000}, kSecond)) << "a slewed clock";
  EXPECT_FALSE(FitIntoSpan({kSecond / 2, kSecond / 2 + 2'500'000}, kSecond));
  EXPECT_FALSE(FitIntoSpan({INT64_MAX, INT64_MAX, 3}, kSecond));
  EXPECT_FALSE(FitIntoSpan({1, INT64_MAX}, kSecond));
}

TEST(ThreadAwake, DoesNotCountSleep) {
  const std::int64_t start_ns = BoottimeNs();
  const auto before = ThreadAwakeNs();
  if (!before) GTEST_SKIP() << "this kernel keeps no scheduler statistics";
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto after = ThreadAwakeNs();
  ASSERT_TRUE(after);
  EXPECT_GE(*after, *before);
  EXPECT_LE(*after - *before, BoottimeNs() - start_ns - 50'000'000);
}

TEST(ArrivalBound, IsAfterTheReadBeforeAndBeforeTheArrival) {
  ArrivalBound bound;
  const std::int64_t first_ns = BoottimeNs();
  EXPECT_LT(bound.Earliest(first_ns), first_ns);
  usleep(1000);
  const std::int64_t second_ns = BoottimeNs();
  const std::int64_t earliest_ns = bound.Earliest(second_ns);
  EXPECT_LT(earliest_ns, second_ns);
  EXPECT_GE(earliest_ns, first_ns - 100'000);
  // Lines of one read share its bound.
  EXPECT_EQ(bound.Earliest(second_ns), earliest_ns);
}

}  // namespace
}  // namespace joulefarm::agent
