#include "agent/clock/clock_prober.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/agent/run/collecting_recorder.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kHeartbeat = 30 * kSecond;

class ClockProberTest : public testing::Test {
 protected:
  void Answer(std::int64_t seq) {
    v1::ClockReply reply;
    reply.set_seq(seq);
    reply.set_t1_ns(now_ns_);
    reply.set_t2_ns(now_ns_ + 500);
    reply.set_t3_ns(now_ns_ + 600);
    reply.set_boot_id("boot");
    prober_.Replied(1, reply, now_ns_ + 200);
  }
  void AnswerAll() {
    while (answered_ < sent_.size()) Answer(sent_[answered_++].clock_probe().seq());
  }
  int Exchanges() const {
    int count = 0;
    for (const v1::Event& event : recorder_.events) count += event.has_clock_exchange() ? 1 : 0;
    return count;
  }

  std::int64_t now_ns_ = 100 * kSecond;
  std::int64_t armed_ns_ = 0;
  std::vector<v1::AgentMessage> sent_;
  std::size_t answered_ = 0;
  ClockLog log_;
  CollectingRecorder recorder_;
  ClockProber prober_{&log_,
                      {.send =
                           [this](Connection connection, v1::AgentMessage message) {
                             EXPECT_EQ(connection, 1);
                             EXPECT_EQ(message.clock_probe().t1_ns(), now_ns_);
                             sent_.push_back(std::move(message));
                           },
                       .arm = [this](std::int64_t deadline_ns) { armed_ns_ = deadline_ns; },
                       .now_ns = [this] { return now_ns_; },
                       .read_clocks =
                           [this] {
                             v1::ClockSnapshot snapshot;
                             snapshot.set_boottime_ns(now_ns_);
                             return snapshot;
                           }}};
};

TEST_F(ClockProberTest, ABurstIsEightExchangesOneAfterTheOther) {
  const ClockLog::Follow follow(&log_, &recorder_);
  prober_.Online(1, kHeartbeat);
  EXPECT_EQ(sent_.size(), 1U);
  AnswerAll();
  EXPECT_EQ(sent_.size(), 8U);
  EXPECT_EQ(Exchanges(), 8);
  EXPECT_EQ(recorder_.events.front().clock().boottime_ns(), now_ns_);
  const v1::ClockExchange& first = recorder_.events[1].clock_exchange();
  EXPECT_EQ(first.t1_ns(), now_ns_);
  EXPECT_EQ(first.t2_ns(), now_ns_ + 500);
  EXPECT_EQ(first.t3_ns(), now_ns_ + 600);
  EXPECT_EQ(first.t4_ns(), now_ns_ + 200);
  EXPECT_EQ(first.peer_boot_id(), "boot");
}

TEST_F(ClockProberTest, BurstsComeEachPeriodWhileAnAttemptRuns) {
  const ClockLog::Follow follow(&log_, &recorder_);
  prober_.Online(1, kHeartbeat);
  AnswerAll();
  EXPECT_EQ(armed_ns_, now_ns_ + ClockProber::kPeriodNs);
  now_ns_ = armed_ns_;
  prober_.Fired();
  AnswerAll();
  EXPECT_EQ(Exchanges(), 16);
}

TEST_F(ClockProberTest, WhileNothingRunsTheyComeWithTheHeartbeat) {
  prober_.Online(1, kHeartbeat);
  AnswerAll();
  EXPECT_EQ(armed_ns_, now_ns_ + kHeartbeat);
  now_ns_ += 5 * kSecond;
  prober_.Fired();
  EXPECT_EQ(sent_.size(), 8U);
  EXPECT_EQ(armed_ns_, now_ns_ + kHeartbeat - 5 * kSecond);
}

TEST_F(ClockProberTest, WhatIsWantedBeginsAtOnceAndIsWhole) {
  prober_.Online(1, kHeartbeat);
  Answer(1);
  EXPECT_EQ(sent_.size(), 2U);
  prober_.Wanted();  // in the middle: eight more
  answered_ = 1;
  AnswerAll();
  EXPECT_EQ(sent_.size(), 9U);
  prober_.Wanted();
  AnswerAll();
  EXPECT_EQ(sent_.size(), 17U);
}

TEST_F(ClockProberTest, ALostAnswerDelaysTheNextBurstOnly) {
  const ClockLog::Follow follow(&log_, &recorder_);
  prober_.Online(1, kHeartbeat);
  now_ns_ = armed_ns_;
  prober_.Fired();
  ASSERT_EQ(sent_.size(), 2U);
  Answer(1);  // late, true all the same
  EXPECT_EQ(Exchanges(), 1);
  EXPECT_EQ(sent_.size(), 2U);
  answered_ = 1;
  AnswerAll();
  EXPECT_EQ(sent_.size(), 9U);
}

TEST_F(ClockProberTest, WithoutASessionThereAreSnapshotsForAnAttemptAndNothingElse) {
  prober_.Online(1, kHeartbeat);
  prober_.Offline();
  Answer(1);
  prober_.Fired();
  EXPECT_EQ(sent_.size(), 1U);
  const ClockLog::Follow follow(&log_, &recorder_);
  const std::size_t before = recorder_.events.size();
  now_ns_ += 5 * kSecond;
  prober_.Fired();
  EXPECT_EQ(sent_.size(), 1U);
  ASSERT_EQ(recorder_.events.size(), before + 1);
  EXPECT_TRUE(recorder_.events.back().has_clock());
  EXPECT_EQ(armed_ns_, now_ns_ + ClockProber::kPeriodNs);
}

}  // namespace
}  // namespace joulefarm::agent
