#include "common/measure/speed.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/measure/findings.h"

namespace joulefarm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kMs = 1'000'000;

v1::RunDone WholeRun() {
  v1::RunDone run;
  run.set_start_ns(0);
  run.set_end_ns(10'000 * kMs);
  return run;
}

// Begins at `begin_ms`, first token 50 ms later, then one every 10 ms; every token has its own
// event.
RequestTrace Request(std::int64_t begin_ms, int n_gen) {
  RequestTrace request;
  v1::RequestDone& done = request.done;
  done.set_t_req_ns(begin_ms * kMs);
  done.set_t_first_ns((begin_ms + 50) * kMs);
  done.set_t_last_ns((begin_ms + 50 + 10 * (n_gen - 1)) * kMs);
  done.set_idx_first(1);
  done.set_idx_last(n_gen);
  done.set_n_prompt(20);
  done.set_n_evaluated(20);
  done.set_n_cached(0);
  done.set_prompt_ms(40);
  done.set_n_gen(n_gen);
  done.set_stop("limit");
  for (int i = 1; i <= n_gen; ++i) {
    request.idx.push_back(i);
    request.t_ns.push_back((begin_ms + 50 + 10 * (i - 1)) * kMs);
  }
  return request;
}

SpeedExpectation Asked(int prompts, int max_tokens) {
  return {prompts, max_tokens, SpeedExpectation::EndOfText::kIgnored};
}

Speed MeasureOne(const RequestTrace& request, int max_tokens = 5) {
  return MeasureSpeed(Asked(1, max_tokens), WholeRun(), {&request, 1});
}

TEST(SpeedTest, OneRequest) {
  const Speed speed = MeasureOne(Request(100, 5));
  EXPECT_EQ(speed.n_prompt, 20);
  EXPECT_EQ(speed.n_gen, 5);
  EXPECT_DOUBLE_EQ(*speed.ttft_ms, 50);
  EXPECT_DOUBLE_EQ(*speed.itps, 500);
  EXPECT_DOUBLE_EQ(*speed.otps, 100);
  EXPECT_DOUBLE_EQ(*speed.tpot_ms, 10);
  EXPECT_DOUBLE_EQ(*speed.itl_p50_ms, 10);
  EXPECT_FALSE(speed.itl_p99_ms);
  EXPECT_EQ(speed.n_timed, 4);
  EXPECT_THAT(speed.findings, IsEmpty());
}

TEST(SpeedTest, SeveralRequestsAreSumsAndMeans) {
  RequestTrace slow = Request(1000, 3);
  slow.done.set_t_first_ns(1150 * kMs);
  slow.done.set_t_last_ns(1250 * kMs);  // 2 intervals in 100 ms
  slow.done.set_n_prompt(60);
  slow.done.set_n_evaluated(60);
  slow.done.set_prompt_ms(60);
  slow.t_ns = {1150 * kMs, 1200 * kMs, 1250 * kMs};
  const std::vector<RequestTrace> requests{Request(0, 5), slow};
  const Speed speed = MeasureSpeed(Asked(2, 3), WholeRun(), requests);
  EXPECT_EQ(speed.n_prompt, 80);
  EXPECT_EQ(speed.n_gen, 8);
  EXPECT_DOUBLE_EQ(*speed.ttft_ms, (50.0 + 150.0) / 2);
  EXPECT_DOUBLE_EQ(*speed.itps, 80 / 0.1);
  EXPECT_DOUBLE_EQ(*speed.otps, (4 + 2) / (0.04 + 0.1));
  EXPECT_EQ(speed.n_timed, 6);
  EXPECT_THAT(speed.findings, IsEmpty());
}

TEST(SpeedTest, RatesCountTheEnginesIndexNotEvents) {
  // The first event carries tokens 1 and 2, the last one 4 and 5: otps = (5 - 2) / 30 ms.
  RequestTrace request = Request(0, 5);
  request.idx = {2, 3, 5};
  request.t_ns = {50 * kMs, 60 * kMs, 80 * kMs};
  request.done.set_idx_first(2);
  request.done.set_t_last_ns(80 * kMs);
  const Speed speed = MeasureOne(request);
  EXPECT_DOUBLE_EQ(*speed.otps, 100);
  EXPECT_EQ(speed.n_timed, 1);
}

TEST(SpeedTest, LatencyNeedsCoverage) {
  // 50 tokens, 49 intervals: one event missing leaves 47 of 49 = 95.9 %, two leave 45 of 49.
  RequestTrace request = Request(0, 50);
  request.idx.erase(request.idx.begin() + 20);
  request.t_ns.erase(request.t_ns.begin() + 20);
  const Speed enough = MeasureOne(request, 50);
  EXPECT_EQ(enough.n_timed, 47);
  EXPECT_DOUBLE_EQ(*enough.itl_p50_ms, 10);
  request.idx.erase(request.idx.begin() + 30);
  request.t_ns.erase(request.t_ns.begin() + 30);
  const Speed few = MeasureOne(request, 50);
  EXPECT_EQ(few.n_timed, 45);
  EXPECT_FALSE(few.itl_p50_ms);
  EXPECT_TRUE(few.otps);
  EXPECT_EQ(Detail(few.findings, "timed_coverage"), "91.8%<95%");
  // It explains the absent latency and lowers nothing.
  EXPECT_EQ(Worst(few.findings), v1::QUALITY_VALID);
}

TEST(SpeedTest, P99FromAHundredIntervals) {
  EXPECT_FALSE(MeasureOne(Request(0, 100), 100).itl_p99_ms);
  RequestTrace request = Request(0, 101);
  request.t_ns.back() += 40 * kMs;
  request.done.set_t_last_ns(request.t_ns.back());
  const Speed speed = MeasureOne(request, 101);
  EXPECT_EQ(speed.n_timed, 100);
  // 99 intervals of 10 ms and one of 50 ms: order statistic 98.01 of 0 … 99 lies at 10 + 0.01 * 40.
  EXPECT_NEAR(*speed.itl_p99_ms, 10.4, 1e-9);
}

TEST(SpeedTest, OneTokenHasNoRate) {
  const Speed speed = MeasureOne(Request(0, 1), 1);
  EXPECT_DOUBLE_EQ(*speed.ttft_ms, 50);
  EXPECT_FALSE(speed.otps);
  EXPECT_FALSE(speed.tpot_ms);
  EXPECT_FALSE(speed.itl_p50_ms);
  EXPECT_THAT(speed.findings, IsEmpty());
}

TEST(SpeedTest, WithoutTheEnginesPromptTimeNoItps) {
  RequestTrace request = Request(0, 5);
  request.done.clear_prompt_ms();
  EXPECT_FALSE(MeasureOne(request).itps);
}

TEST(SpeedTest, CacheHitIsInvalid) {
  RequestTrace request = Request(0, 5);
  request.done.set_n_cached(19);
  request.done.set_n_evaluated(1);
  const Speed speed = MeasureOne(request);
  EXPECT_EQ(Detail(speed.findings, "cache_hit"), "19>0");
  EXPECT_EQ(Detail(speed.findings, "prompt_short"), "1<20");
  EXPECT_EQ(Worst(speed.findings), v1::QUALITY_INVALID);
}

TEST(SpeedTest, ShortPromptEvaluationIsInvalid) {
  RequestTrace request = Request(0, 5);
  request.done.set_n_evaluated(19);
  const Speed speed = MeasureOne(request);
  EXPECT_THAT(CodesOf(speed.findings), ElementsAre("prompt_short"));
  EXPECT_EQ(Worst(speed.findings), v1::QUALITY_INVALID);
}

TEST(SpeedTest, UnreportedPromptIsSuspect) {
  RequestTrace request = Request(0, 5);
  request.done.clear_n_cached();
  const Speed speed = MeasureOne(request);
  EXPECT_EQ(Detail(speed.findings, "prompt_unverified"), "1>0");
  EXPECT_EQ(Worst(speed.findings), v1::QUALITY_SUSPECT);
}

TEST(SpeedTest, NoTokensIsInvalid) {
  RequestTrace request = Request(0, 5);
  request.done.clear_t_first_ns();
  request.done.clear_t_last_ns();
  request.done.clear_idx_first();
  request.done.clear_idx_last();
  request.done.set_n_gen(0);
  request.idx.clear();
  request.t_ns.clear();
  const Speed speed = MeasureOne(request);
  EXPECT_THAT(CodesOf(speed.findings), ElementsAre("no_tokens"));
  EXPECT_EQ(Worst(speed.findings), v1::QUALITY_INVALID);
  EXPECT_FALSE(speed.ttft_ms);
  EXPECT_FALSE(speed.otps);
}

TEST(SpeedTest, FewerTokensThanAskedIsSuspectUnlessTheTextEnded) {
  RequestTrace request = Request(0, 5);
  EXPECT_EQ(Detail(MeasureOne(request, 8).findings, "tokens_short"), "5<8");
  EXPECT_EQ(Worst(MeasureOne(request, 8).findings), v1::QUALITY_SUSPECT);
  request.done.set_stop("eos");
  EXPECT_EQ(Detail(MeasureOne(request, 8).findings, "tokens_short"), "5<8");
  const SpeedExpectation may_end{1, 8, SpeedExpectation::EndOfText::kEnds};
  EXPECT_THAT(MeasureSpeed(may_end, WholeRun(), {&request, 1}).findings, IsEmpty());
}

TEST(SpeedTest, WithoutAnIndexTheCountGivesADoubtfulRate) {
  RequestTrace request = Request(0, 5);
  request.done.clear_idx_first();
  request.done.clear_idx_last();
  const Speed counted = MeasureOne(request);
  EXPECT_EQ(Detail(counted.findings, "token_index_missing"), "1>0");
  EXPECT_EQ(Worst(counted.findings), v1::QUALITY_SUSPECT);
  EXPECT_DOUBLE_EQ(counted.otps.value(), 100);  // (5 - 1) tokens in 40 ms
  request.done.clear_n_gen();
  const Speed uncounted = MeasureOne(request);
  EXPECT_EQ(Detail(uncounted.findings, "token_index_missing"), "1>0");
  EXPECT_FALSE(uncounted.otps);
  EXPECT_FALSE(uncounted.n_gen);
}

TEST(SpeedTest, StampsOfOneReadTellNoTimeToTheFirstToken) {
  RequestTrace request = Request(0, 5);
  request.done.set_t_req_ns(request.done.t_first_ns());
  const Speed speed = MeasureOne(request);
  EXPECT_FALSE(speed.ttft_ms);
  EXPECT_TRUE(speed.otps);
}

TEST(SpeedTest, WithHalfAnIndexNoRate) {
  RequestTrace request = Request(0, 5);
  request.done.clear_idx_first();
  const Speed speed = MeasureOne(request);
  EXPECT_EQ(Detail(speed.findings, "token_index_missing"), "1>0");
  EXPECT_FALSE(speed.otps);
  EXPECT_TRUE(speed.ttft_ms);
}

TEST(SpeedTest, MissingRequestsAreInvalid) {
  const Speed speed = MeasureSpeed(Asked(2, 5), WholeRun(), {});
  EXPECT_EQ(Detail(speed.findings, "requests_missing"), "0<2");
  EXPECT_EQ(Worst(speed.findings), v1::QUALITY_INVALID);
  EXPECT_FALSE(speed.ttft_ms);
  EXPECT_FALSE(speed.n_gen);
  EXPECT_FALSE(speed.itps);
}

TEST(SpeedTest, ImpossibleStampsGiveNoNumbers) {
  const auto expect_invalid = [](RequestTrace request) {
    const Speed speed = MeasureOne(request);
    EXPECT_EQ(Detail(speed.findings, "impossible_stamps"), "1>0");
    EXPECT_FALSE(speed.ttft_ms);
    EXPECT_FALSE(speed.otps);
  };
  RequestTrace backward = Request(100, 5);
  backward.done.set_t_first_ns(99 * kMs);
  expect_invalid(backward);
  RequestTrace ends_first = Request(100, 5);
  ends_first.done.set_t_last_ns(149 * kMs);
  expect_invalid(ends_first);
  RequestTrace before_the_run = Request(0, 5);
  before_the_run.done.set_t_req_ns(-1);
  expect_invalid(before_the_run);
  RequestTrace after_the_run = Request(0, 5);
  after_the_run.done.set_t_last_ns(10'001 * kMs);
  expect_invalid(after_the_run);
  RequestTrace too_many = Request(0, 5);
  too_many.done.set_idx_last(6);
  expect_invalid(too_many);
  RequestTrace index_backward = Request(0, 5);
  index_backward.done.set_idx_first(6);
  expect_invalid(index_backward);
}

TEST(MeasureBench, RatesAreOverTheEnginesOwnTimes) {
  v1::BenchTimes bench;
  bench.set_n_prompt(512);
  bench.set_prompt_ns(2'000'000'000);
  bench.set_n_gen(128);
  bench.set_gen_ns(4'000'000'000);
  const Speed speed = MeasureBench(bench);
  EXPECT_EQ(speed.n_prompt, 512);
  EXPECT_EQ(speed.n_gen, 128);
  EXPECT_DOUBLE_EQ(speed.itps.value(), 256);
  EXPECT_DOUBLE_EQ(speed.otps.value(), 32);
  EXPECT_EQ(speed.ttft_ms, std::nullopt);
  EXPECT_TRUE(speed.findings.empty());
}

TEST(MeasureBench, ATestThatWasNotRunHasNoRate) {
  v1::BenchTimes bench;
  bench.set_n_gen(128);
  bench.set_gen_ns(4'000'000'000);
  const Speed speed = MeasureBench(bench);
  EXPECT_EQ(speed.n_prompt, std::nullopt);
  EXPECT_EQ(speed.itps, std::nullopt);
  EXPECT_TRUE(speed.otps.has_value());
}

}  // namespace
}  // namespace joulefarm
