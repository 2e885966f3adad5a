#include "agent/clock/clock_log.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/agent/run/collecting_recorder.h"

namespace joulefarm::agent {
namespace {

v1::ClockExchange Exchange(std::int64_t t) {
  v1::ClockExchange exchange;
  exchange.set_t1_ns(t);
  exchange.set_t4_ns(t + 3);
  return exchange;
}

TEST(ClockLogTest, AnAttemptHasWhatWasBeforeItAndWhatComesUntilItEnds) {
  ClockLog log;
  int wanted = 0;
  log.SetWanted([&] { ++wanted; });
  log.Add(Exchange(1));
  v1::ClockSnapshot snapshot;
  snapshot.set_boottime_ns(5);
  log.Add(snapshot);
  CollectingRecorder recorder;
  {
    const ClockLog::Follow follow(&log, &recorder);
    EXPECT_EQ(wanted, 1);
    EXPECT_TRUE(log.followed());
    log.Add(Exchange(10));
  }
  EXPECT_FALSE(log.followed());
  log.Add(Exchange(20));
  ASSERT_EQ(recorder.events.size(), 3U);
  EXPECT_EQ(recorder.events[0].clock_exchange().t1_ns(), 1);
  EXPECT_EQ(recorder.events[0].t_ns(), 4);
  EXPECT_EQ(recorder.events[1].clock().boottime_ns(), 5);
  EXPECT_EQ(recorder.events[1].t_ns(), 5);
  EXPECT_EQ(recorder.events[2].clock_exchange().t1_ns(), 10);
}

TEST(ClockLogTest, OnlyTheNewestIsKept) {
  ClockLog log;
  for (int i = 0; i < 1000; ++i) log.Add(Exchange(i));
  CollectingRecorder recorder;
  const ClockLog::Follow follow(&log, &recorder);
  ASSERT_EQ(recorder.events.size(), 27U);
  EXPECT_EQ(recorder.events.back().clock_exchange().t1_ns(), 999);
}

TEST(ClockLogTest, WithoutASessionNobodyWaits) {
  ClockLog log;
  log.SetWanted([] {});
  CollectingRecorder recorder;
  ClockLog::Follow follow(&log, &recorder);
  follow.AwaitBurst({}, std::chrono::hours(1));
  ClockLog::Follow nothing(nullptr, &recorder);
  nothing.AwaitBurst({}, std::chrono::hours(1));
  SUCCEED();
}

TEST(ClockLogTest, TheLastBurstIsAwaitedUntilItIsOverOrTheSessionIs) {
  ClockLog log;
  CollectingRecorder recorder;
  std::thread answering;
  const auto answer_with = [&](std::function<void()> answer) {
    log.SetWanted([&answering, answer = std::move(answer)] { answering = std::thread(answer); });
  };
  log.SetOnline(true);
  ClockLog::Follow follow(&log, &recorder);
  answer_with([&] {
    log.Add(Exchange(7));
    log.BurstDone();
  });
  follow.AwaitBurst({}, std::chrono::hours(1));
  answering.join();
  EXPECT_EQ(recorder.events.size(), 1U);
  answer_with([&] { log.SetOnline(false); });
  follow.AwaitBurst({}, std::chrono::hours(1));
  answering.join();
  log.SetOnline(true);
  std::stop_source stop;
  answer_with([&] { stop.request_stop(); });
  follow.AwaitBurst(stop.get_token(), std::chrono::hours(1));
  answering.join();
}

}  // namespace
}  // namespace joulefarm::agent
