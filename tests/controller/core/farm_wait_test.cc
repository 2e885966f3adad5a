// What an attempt waits for, where people look: in the rows, and so after a restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controller/core/farm_bench.h"

namespace joulefarm::controller {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

constexpr char kBusy[] = "waiting for gate max_background_cpu: others use 9 % of all cores > 1 %";

class FarmWaitTest : public testing::Test {
 protected:
  // Agent "a" prepares job-1 as fence 1.
  void OnePreparing(int jobs = 1) {
    session_ = bench_.Join("a");
    ASSERT_TRUE(bench_.Submit(bench_.Request(jobs)).ok());
    bench_.Accept(session_, 1);
    Report(v1::ATTEMPT_STATE_PREPARING, "fetching the model");
  }
  void Report(v1::AttemptState state, const std::string& detail) {
    bench_.Report(session_, 1, state, detail);
  }
  // As they are stored.
  const Job& JobRow() const { return bench_.rows().jobs().at("job-1"); }
  const Device& DeviceRow() const { return bench_.rows().devices().at("a"); }
  const Attempt& AttemptRow() const { return bench_.rows().attempts().at(1); }
  void ExpectWaits(const std::string& why) const {
    EXPECT_EQ(AttemptRow().detail, why);
    EXPECT_EQ(JobRow().reason, why);
    EXPECT_EQ(DeviceRow().gate_reason, why);
  }
  void ExpectNoWait() const {
    EXPECT_EQ(JobRow().reason, "");
    EXPECT_EQ(DeviceRow().gate_reason, "");
  }

  FarmBench bench_;
  SessionId session_ = 0;
};

TEST_F(FarmWaitTest, AClosedGateIsStoredAlthoughTheStateIsTheSame) {
  OnePreparing();
  ExpectNoWait();
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  ExpectWaits(kBusy);
  EXPECT_EQ(JobRow().state, v1::JOB_STATE_ACTIVE);
}

TEST_F(FarmWaitTest, ItIsGoneWhenTheAttemptGoesOnInTheSameState) {
  OnePreparing();
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  Report(v1::ATTEMPT_STATE_PREPARING, "loading the model");
  ExpectNoWait();
  EXPECT_EQ(AttemptRow().detail, "loading the model");
}

TEST_F(FarmWaitTest, ItIsGoneWhenTheAttemptMovesOn) {
  OnePreparing();
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  Report(v1::ATTEMPT_STATE_RUNNING, "run 1 of 3");
  ExpectNoWait();
}

TEST_F(FarmWaitTest, ItIsGoneWhenTheAttemptEnds) {
  OnePreparing();
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  ExpectNoWait();
}

TEST_F(FarmWaitTest, AFailureSaysItsOwnReason) {
  OnePreparing();
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  bench_.Finish(1, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_USER);
  EXPECT_EQ(JobRow().reason, "because");
  EXPECT_EQ(DeviceRow().gate_reason, "");
}

TEST_F(FarmWaitTest, ACanceledJobSaysThatItIsCanceled) {
  OnePreparing();
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  bench_.Do(CancelJobRequested{7, "job-1"});
  EXPECT_THAT(JobRow().reason, HasSubstr("canceled by the operator"));
  Report(v1::ATTEMPT_STATE_PREPARING, "loading the model");
  EXPECT_THAT(JobRow().reason, HasSubstr("canceled by the operator"));
  EXPECT_EQ(DeviceRow().gate_reason, "");
}

TEST_F(FarmWaitTest, ARestartOfTheControllerForgetsNothing) {
  OnePreparing();
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  bench_.Restart();
  ExpectWaits(kBusy);
  EXPECT_EQ(bench_.JobOf("job-1").reason, kBusy);
  session_ = bench_.Join("a", {bench_.Held(1, v1::ATTEMPT_STATE_PREPARING)});
  ExpectWaits(kBusy);
  Report(v1::ATTEMPT_STATE_PREPARING, "loading the model");
  ExpectNoWait();
}

TEST_F(FarmWaitTest, WhatIsOverWhenTheAgentComesBackIsGone) {
  OnePreparing();
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  bench_.Do(AgentGone{session_});
  ExpectWaits(kBusy);
  bench_.Join("a", {bench_.Held(1, v1::ATTEMPT_STATE_RUNNING)});
  ExpectNoWait();
}

TEST_F(FarmWaitTest, OfALostAttemptNothingWaits) {
  OnePreparing();
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  bench_.Join("a", {}, false);  // it no longer knows the attempt
  EXPECT_THAT(JobRow().reason, HasSubstr("was lost"));
  EXPECT_EQ(DeviceRow().gate_reason, "");
}

TEST_F(FarmWaitTest, AJobThatLeavesTheQueueDoesNotHideWhatTheDeviceWaitsFor) {
  OnePreparing(2);
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  bench_.Do(CancelJobRequested{7, "job-2"});
  ExpectWaits(kBusy);
}

TEST_F(FarmWaitTest, ATextThatChangesAllTheTimeIsStoredNowAndThen) {
  OnePreparing();
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  EXPECT_EQ(bench_.writes(), 3u);  // attempt, device, job
  std::size_t writes = 0;
  for (int i = 0; i < 120; ++i) {
    bench_.Do(AgentAlive{session_, std::nullopt});
    bench_.Pass(kSecond);
    Report(v1::ATTEMPT_STATE_PREPARING, absl::StrCat(kBusy, " at ", i));
    writes += bench_.writes();
  }
  EXPECT_EQ(writes, 4u * 3);  // every 30 s
  ExpectWaits(absl::StrCat(kBusy, " at 119"));
  // The last word is not lost on those who ask the farm.
  ProgressRequested asked;
  asked.token = 9;
  asked.job = "job-1";
  Report(v1::ATTEMPT_STATE_PREPARING, absl::StrCat(kBusy, " at last"));
  EXPECT_EQ(bench_.writes(), 0u);
  std::string detail;
  for (const Effect& effect : bench_.Do(asked)) {
    if (const auto* reply = std::get_if<ReplyToOperator>(&effect))
      detail = std::get<v1::GetProgressResponse>(reply->response).active_jobs(0).detail();
  }
  EXPECT_EQ(detail, absl::StrCat(kBusy, " at last"));
}

TEST_F(FarmWaitTest, TheSameTextIsStoredOnce) {
  OnePreparing();
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  bench_.Pass(31 * kSecond);
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  EXPECT_EQ(bench_.writes(), 0u);
}

// Why queued jobs wait is not written with each of them: it is read from their device's row.
TEST_F(FarmWaitTest, TheEndOfAJobDoesNotRewriteThoseBehindIt) {
  constexpr int kJobs = 1000;
  OnePreparing(kJobs);
  bench_.Do(FinalStored{{1, 0, v1::OUTCOME_SUCCEEDED, ""}});
  bench_.Computed(1);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_LE(bench_.writes(), 20u);
  bench_.Do(AgentGone{session_});
  EXPECT_LE(bench_.writes(), 20u);
  session_ = bench_.Join("a", {bench_.Held(2, v1::ATTEMPT_STATE_RUNNING)});
  EXPECT_LE(bench_.writes(), 20u);
  EXPECT_EQ(bench_.rows().jobs().at("job-1000").reason, "");
}

TEST_F(FarmWaitTest, ADeviceThatRestsSaysSo) {
  session_ = bench_.Join("a");
  ASSERT_TRUE(bench_.Submit(bench_.Request(2)).ok());
  bench_.Refuse(session_, 1);
  EXPECT_EQ(DeviceRow().gate_reason, "rests a little, a job was refused: busy");
  EXPECT_THAT(JobRow().reason, HasSubstr("device a refused it: busy"));
  bench_.Pass(2 * kSecond);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  ExpectNoWait();
}

TEST_F(FarmWaitTest, ADeviceThatRestsForNobodySaysNothing) {
  session_ = bench_.Join("a");
  ASSERT_TRUE(bench_.Submit(bench_.Request(1)).ok());
  bench_.Refuse(session_, 1);
  bench_.Do(CancelJobRequested{7, "job-1"});
  EXPECT_EQ(DeviceRow().gate_reason, "");
}

TEST_F(FarmWaitTest, ADeviceOutOfReachNoLongerRests) {
  session_ = bench_.Join("a");
  ASSERT_TRUE(bench_.Submit(bench_.Request(1)).ok());
  bench_.Refuse(session_, 1);
  bench_.Do(AgentGone{session_});
  EXPECT_EQ(DeviceRow().gate_reason, "");
}

TEST_F(FarmWaitTest, TheNextJobOfTheDeviceBeginsWithoutIt) {
  OnePreparing(2);
  Report(v1::ATTEMPT_STATE_PREPARING, kBusy);
  bench_.Finish(1, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_USER);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(DeviceRow().gate_reason, "");
  EXPECT_EQ(bench_.rows().jobs().at("job-2").reason, "");
}

}  // namespace
}  // namespace joulefarm::controller
