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
    for (CellToRun& cell : request.cells) {
      cell.spec.mutable_gates()->set_max_temp_c(45);
      cell.spec.mutable_gates()->set_min_battery_pct(50);
      cell.spec.mutable_plan()->set_settle_ns(7);
      cell.spec.mutable_plan()->set_idle_ns(8);
      cell.spec.mutable_generate()->set_max_tokens(64);
    }
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
  // Two jobs of the four fail by the device's fault.
  void MakeSuspect() {
    Jobs(4);
    End(v1::FAILURE_CLASS_DEVICE);
    End(v1::FAILURE_CLASS_DEVICE);
    ASSERT_EQ(Row().health, v1::DEVICE_HEALTH_SUSPECT);
  }
  // The check has three tries.
  void FailCheck(v1::FailureClass failure) {
    for (int tries = 0; tries < 3; ++tries) End(failure);
  }
  // What the device was given last; empty: nothing.
  std::string Given() const {
    const auto grants = bench_.Grants();
    return grants.empty() ? "" : grants.back().job_id();
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
}

TEST_F(FarmHealthTest, ACheckComesBeforeAnythingElse) {
  MakeSuspect();
  EXPECT_EQ(Row().health_check, "job-5");
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  const v1::Grant grant = bench_.Grants()[0];
  EXPECT_EQ(grant.job_id(), "job-5");
  // The conditions of what failed, without its work.
  EXPECT_EQ(grant.spec().gates().min_battery_pct(), 50);
  EXPECT_FALSE(grant.spec().gates().has_max_temp_c());
  EXPECT_EQ(grant.spec().plan().settle_ns(), 7);
  EXPECT_EQ(grant.spec().plan().idle_ns(), 0);
  ASSERT_TRUE(grant.spec().has_command());
  EXPECT_EQ(grant.spec().repetitions(), 0) << "nothing that an analyst could take for a result";
  EXPECT_EQ(grant.spec().warmup(), 1);
  EXPECT_EQ(grant.spec().limits().total_ns(), 0);
  const Job& check = bench_.JobOf("job-5");
  EXPECT_TRUE(check.pinned);
  EXPECT_EQ(check.experiment, "exp-2");
}

TEST_F(FarmHealthTest, ACheckThatSucceedsClearsIt) {
  MakeSuspect();
  End(v1::FAILURE_CLASS_UNSPECIFIED);
  ExpectGood();
  EXPECT_EQ(Row().health_check, "");
  EXPECT_EQ(Told("GOOD: its health check job-5 succeeded"), 1);
  EXPECT_EQ(Given(), "job-3");
  // One more is one, not a third.
  End(v1::FAILURE_CLASS_DEVICE);
  ExpectGood();
}

TEST_F(FarmHealthTest, ACheckThatFailsPutsItIntoQuarantine) {
  MakeSuspect();
  FailCheck(v1::FAILURE_CLASS_DEVICE);
  EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_QUARANTINED);
  EXPECT_EQ(Row().health_reason, "its health check job-5 failed: because");
  EXPECT_EQ(Row().health_check, "");
  EXPECT_EQ(Told("QUARANTINED: its health check job-5 failed"), 1);
  EXPECT_EQ(Given(), "");
  EXPECT_EQ(bench_.JobOf("job-3").state, v1::JOB_STATE_QUEUED);
  bench_.Restart();
  bench_.Join("a");
  EXPECT_EQ(Given(), "");
  EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_QUARANTINED);
}

TEST_F(FarmHealthTest, WhatEverElseTheCheckDiesOfIsTheDevicesFault) {
  for (const v1::FailureClass failure :
       {v1::FAILURE_CLASS_USER, v1::FAILURE_CLASS_TIMEOUT, v1::FAILURE_CLASS_OOM}) {
    bench_ = FarmBench();
    fence_ = 0;
    MakeSuspect();
    End(failure);  // not tried again
    EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_QUARANTINED) << v1::FailureClass_Name(failure);
  }
}

TEST_F(FarmHealthTest, ACheckThatFindsOutNothingLeavesItSuspectAndAtWork) {
  MakeSuspect();
  FailCheck(v1::FAILURE_CLASS_INFRA);
  EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_SUSPECT);
  EXPECT_EQ(Row().health_check, "");
  EXPECT_EQ(Told("still SUSPECT: its health check job-5 found out nothing"), 1);
  EXPECT_EQ(Given(), "job-3");
  // One more failure, and it is looked at again.
  End(v1::FAILURE_CLASS_DEVICE);
  EXPECT_EQ(Row().health_check, "job-6");
  EXPECT_EQ(Given(), "job-6");
}

TEST_F(FarmHealthTest, AnOperatorMayCancelTheCheck) {
  MakeSuspect();
  bench_.Accept(session_, ++fence_);
  bench_.Do(CancelJobRequested{1, "job-5"});
  bench_.Finish(fence_, v1::OUTCOME_CANCELED);
  EXPECT_EQ(bench_.JobOf("job-5").state, v1::JOB_STATE_CANCELED);
  EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_SUSPECT);
  EXPECT_EQ(Given(), "job-3");
  // Then a job that succeeds clears it.
  End(v1::FAILURE_CLASS_UNSPECIFIED);
  ExpectGood();
  EXPECT_EQ(Told("GOOD: job-3 succeeded"), 1);
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
  EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_SUSPECT);
  EXPECT_THAT(Row().health_reason, HasSubstr("job-1 and job-2"));
  bench_.Restart();
  session_ = bench_.Join("a");  // the offer is sent again
  EXPECT_EQ(Given(), "job-5");
  End(v1::FAILURE_CLASS_UNSPECIFIED);
  ExpectGood();
  EXPECT_EQ(Given(), "job-3");
}

TEST_F(FarmHealthTest, WhatMayRunElsewhereGoesToAGoodDeviceFirst) {
  Jobs(2);
  End(v1::FAILURE_CLASS_DEVICE);
  End(v1::FAILURE_CLASS_DEVICE);
  ASSERT_EQ(Row().health, v1::DEVICE_HEALTH_SUSPECT);
  FailCheck(v1::FAILURE_CLASS_INFRA);
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
  bench_.Accept(b, ++fence_);
  bench_.Finish(fence_, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_INFRA);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "c");
  // When there is none, better there than on the one it failed on.
  bench_.Do(AgentGone{b});
  bench_.Accept(c, ++fence_);
  bench_.Finish(fence_, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_INFRA);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "a");
}

}  // namespace
}  // namespace joulefarm::controller
