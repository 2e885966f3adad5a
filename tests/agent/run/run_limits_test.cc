#include "agent/run/run_limits.h"

#include <gtest/gtest.h>

#include <future>

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kHour = 3600'000 * kMs;

class RunLimitsTest : public testing::Test {
 protected:
  std::function<void(std::string)> Passed() {
    return [this](std::string text) { passed_.set_value(std::move(text)); };
  }
  std::promise<std::string> passed_;
};

TEST_F(RunLimitsTest, PrepareLimitCountsUntilTheRunsBegin) {
  RunLimits limits(5 * kMs, kHour, Passed());
  EXPECT_EQ(passed_.get_future().get(), "preparing took longer than the limit prepare of 0.005 s");
}

TEST_F(RunLimitsTest, RunLimitCountsFromThen) {
  RunLimits limits(kHour, 5 * kMs, Passed());
  limits.RunsBegin();
  limits.RunsBegin();
  EXPECT_EQ(passed_.get_future().get(), "the runs took longer than the limit run of 0.005 s");
}

TEST_F(RunLimitsTest, NoLimitNeverPassesAndTheWatchEndsAtOnce) {
  { RunLimits limits(0, 0, Passed()); }
  { RunLimits limits(kHour, kHour, Passed()); }
  EXPECT_EQ(passed_.get_future().wait_for(std::chrono::seconds(0)), std::future_status::timeout);
}

}  // namespace
}  // namespace joulefarm::agent
