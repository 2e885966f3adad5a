#include "agent/telemetry/telemetry_watch.h"

#include <gtest/gtest.h>

#include <limits>

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

v1::WatchDevice Ask(std::int64_t period_ns, std::int64_t for_ns) {
  v1::WatchDevice ask;
  ask.set_period_ns(period_ns);
  ask.set_for_ns(for_ns);
  return ask;
}

TEST(TelemetryWatch, NobodyLooksAtFirst) {
  TelemetryWatch watch;
  EXPECT_FALSE(watch.NextNs().has_value());
  EXPECT_FALSE(watch.TakeDue(5));
}

TEST(TelemetryWatch, AtOnceThenEveryPeriodThenSilence) {
  TelemetryWatch watch;
  watch.Ask(Ask(kSecond, 3 * kSecond), 100 * kSecond);
  int sent = 0;
  for (std::int64_t now_ns = 100 * kSecond; now_ns < 110 * kSecond; now_ns += kSecond / 10)
    sent += watch.TakeDue(now_ns) ? 1 : 0;
  EXPECT_EQ(sent, 4);  // at 100, 101, 102 and 103
  EXPECT_FALSE(watch.NextNs().has_value());
}

TEST(TelemetryWatch, AskingAgainExtendsAndKeepsTheBeat) {
  TelemetryWatch watch;
  watch.Ask(Ask(kSecond, 2 * kSecond), 0);
  EXPECT_TRUE(watch.TakeDue(0));
  watch.Ask(Ask(kSecond, 2 * kSecond), kSecond / 2);
  EXPECT_FALSE(watch.TakeDue(kSecond / 2));
  EXPECT_TRUE(watch.TakeDue(kSecond));
  EXPECT_TRUE(watch.TakeDue(2 * kSecond));
  EXPECT_FALSE(watch.NextNs().has_value());  // the next would be past 2.5 s
}

TEST(TelemetryWatch, AShorterQuestionDoesNotShortenALongerOne) {
  TelemetryWatch watch;
  watch.Ask(Ask(kSecond, 10 * kSecond), 0);
  watch.Ask(Ask(kSecond, kSecond), 0);
  EXPECT_TRUE(watch.TakeDue(0));
  EXPECT_TRUE(watch.TakeDue(9 * kSecond));
}

TEST(TelemetryWatch, MissedDeadlinesAreNotMadeUpFor) {
  TelemetryWatch watch;
  watch.Ask(Ask(kSecond, 100 * kSecond), 0);
  EXPECT_TRUE(watch.TakeDue(0));
  EXPECT_TRUE(watch.TakeDue(10 * kSecond + 5));
  EXPECT_FALSE(watch.TakeDue(10 * kSecond + 6));
  EXPECT_EQ(watch.NextNs(), 11 * kSecond + 5);
}

TEST(TelemetryWatch, WhatIsAskedForIsKeptWithinBounds) {
  TelemetryWatch watch;
  watch.Ask(Ask(1, -5), 0);
  EXPECT_TRUE(watch.TakeDue(0));
  EXPECT_FALSE(watch.NextNs().has_value());
  watch.Ask(Ask(0, std::numeric_limits<std::int64_t>::max()), 0);
  EXPECT_TRUE(watch.TakeDue(0));
  EXPECT_EQ(watch.NextNs(), kSecond / 4);
  EXPECT_TRUE(watch.TakeDue(601 * kSecond));
  EXPECT_FALSE(watch.NextNs().has_value());
}

}  // namespace
}  // namespace joulefarm::agent
