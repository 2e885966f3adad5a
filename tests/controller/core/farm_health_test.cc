// Devices that fail jobs, and how they are trusted again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controller/core/farm_bench.h"

namespace joulefarm::controller {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class FarmHealthTest : public testing::Test {
 protected:
  // Jobs on agent "a", which takes them one by one.
  void Jobs(int count, int retries = 0) {
    session_ = bench_.Join("a");
    SubmitRequested request = bench_.Request(count);
    request.retries = retries;
    ASSERT_TRUE(bench_.Submit(request).ok());
  }
  // The next attempt ends so.
  void End(v1::FailureClass failure) {
    ++fence_;
    bench_.Accept(session_, fence_);
    bench_.Finish(
        fence_,
        failure == v1::FAILURE_CLASS_UNSPECIFIED ? v1::OUTCOME_SUCCEEDED : v1::OUTCOME_FAILED,
        failure);
  }
  const Device& Row() const { return bench_.rows().devices().at("a"); }
  void ExpectGood() const {
    EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_GOOD);
    EXPECT_EQ(Row().health_reason, "");
  }
  int Told(const std::string& begin) const {
    int told = 0;
    for (const FarmEvent& event : bench_.rows().events())
      told += event.kind == "device" && event.text.rfind(begin, 0) == 0 ? 1 : 0;
    return told;
  }

  FarmBench bench_;
  SessionId session_ = 0;
  Fence fence_ = 0;
};

TEST_F(FarmHealthTest, TwoJobsThatFailByItsFaultMakeADeviceSuspect) {
  Jobs(4);
  End(v1::FAILURE_CLASS_DEVICE);
  ExpectGood();
  End(v1::FAILURE_CLASS_DEVICE);
  EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_SUSPECT);
  EXPECT_EQ(Row().health_reason, "job-1 and job-2 failed on it (DEVICE): because");
  EXPECT_EQ(Told("SUSPECT: job-1 and job-2"), 1);
  // It goes on taking jobs, and what it is called does not change with each of them.
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  End(v1::FAILURE_CLASS_DEVICE);
  EXPECT_EQ(Row().health_reason, "job-1 and job-2 failed on it (DEVICE): because");
  EXPECT_EQ(Told("SUSPECT"), 1);
}

TEST_F(FarmHealthTest, AJobThatSucceedsClearsIt) {
  Jobs(5);
  End(v1::FAILURE_CLASS_DEVICE);
  End(v1::FAILURE_CLASS_DEVICE);
  End(v1::FAILURE_CLASS_UNSPECIFIED);
  ExpectGood();
  EXPECT_EQ(Told("GOOD: job-3 succeeded"), 1);
  // One more is one, not a third.
  End(v1::FAILURE_CLASS_DEVICE);
  ExpectGood();
}

TEST_F(FarmHealthTest, ASuccessBetweenTwoFailuresKeepsItGood) {
  Jobs(3);
  End(v1::FAILURE_CLASS_DEVICE);
  End(v1::FAILURE_CLASS_UNSPECIFIED);
  End(v1::FAILURE_CLASS_DEVICE);
  ExpectGood();
  EXPECT_EQ(Told("GOOD"), 0);
}

TEST_F(FarmHealthTest, TriesOfOneJobCountOnce) {
  Jobs(2, 2);
  End(v1::FAILURE_CLASS_DEVICE);
  End(v1::FAILURE_CLASS_DEVICE);
  End(v1::FAILURE_CLASS_DEVICE);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_FAILED);
  ExpectGood();
  End(v1::FAILURE_CLASS_DEVICE);
  EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_SUSPECT);
}

TEST_F(FarmHealthTest, OtherFailuresSayNothingOfTheDevice) {
  for (const v1::FailureClass failure :
       {v1::FAILURE_CLASS_USER, v1::FAILURE_CLASS_INFRA, v1::FAILURE_CLASS_TIMEOUT,
        v1::FAILURE_CLASS_OOM, v1::FAILURE_CLASS_THERMAL, v1::FAILURE_CLASS_POLICY}) {
    bench_ = FarmBench();
    fence_ = 0;
    Jobs(3);
    End(v1::FAILURE_CLASS_DEVICE);
    End(failure);
    ExpectGood();
    // Nor do they clear it.
    End(v1::FAILURE_CLASS_DEVICE);
    EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_SUSPECT) << v1::FailureClass_Name(failure);
  }
}

TEST_F(FarmHealthTest, ARestartOfTheControllerForgetsNothing) {
  Jobs(4);
  End(v1::FAILURE_CLASS_DEVICE);
  bench_.Restart();
  session_ = bench_.Join("a");
  End(v1::FAILURE_CLASS_DEVICE);
  bench_.Restart();
  session_ = bench_.Join("a");
  EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_SUSPECT);
  EXPECT_THAT(Row().health_reason, HasSubstr("job-1 and job-2"));
  End(v1::FAILURE_CLASS_UNSPECIFIED);
  ExpectGood();
}

TEST_F(FarmHealthTest, WhatMayRunElsewhereGoesToAGoodDeviceFirst) {
  Jobs(2);
  End(v1::FAILURE_CLASS_DEVICE);
  End(v1::FAILURE_CLASS_DEVICE);
  ASSERT_EQ(Row().health, v1::DEVICE_HEALTH_SUSPECT);
  const SessionId b = bench_.Join("b");
  const SessionId c = bench_.Join("c");
  SubmitRequested any = bench_.Request(1);
  any.device_count = 1;
  any.retries = 2;
  ASSERT_TRUE(bench_.Submit(any).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "b");
  // A retry: not on the suspect one while there is another.
  bench_.Accept(b, 3);
  bench_.Finish(3, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_INFRA);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "c");
  // When there is none, better there than on the one it failed on.
  bench_.Do(AgentGone{b});
  bench_.Accept(c, 4);
  bench_.Finish(4, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_INFRA);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "a");
}

}  // namespace
}  // namespace joulefarm::controller
