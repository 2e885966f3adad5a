#include "controller/core/farm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/text/no_such.h"
#include "tests/controller/core/farm_bench.h"

namespace joulefarm::controller {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class FarmTest : public testing::Test {
 protected:
  // One agent "a", one job granted to it as fence 1; `accepted` by it.
  void OneRunning() {
    session_ = bench_.Join("a");
    ASSERT_TRUE(bench_.Submit(bench_.Request()).ok());
    ASSERT_THAT(bench_.Grants(), SizeIs(1));
    bench_.Accept(session_, 1);
    ASSERT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_ACCEPTED);
    ASSERT_EQ(bench_.DeviceOf("a").alloc, v1::DEVICE_ALLOC_LEASED);
  }

  FarmBench bench_;
  SessionId session_ = 0;
};

TEST_F(FarmTest, AJobGoesFromSubmissionToSuccessAndTheNextOneFollows) {
  session_ = bench_.Join("a");
  ASSERT_TRUE(bench_.Submit(bench_.Request(2)).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].job_id(), "job-1");
  EXPECT_EQ(bench_.Grants()[0].spec().cell(), "threads=1");
  bench_.Accept(session_, 1);
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(bench_.JobOf("job-1").accepted_fence, 1);
  EXPECT_EQ(bench_.JobOf("job-1").live_fence, std::nullopt);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].job_id(), "job-2");
  EXPECT_EQ(bench_.Grants()[0].fence(), 2);
  EXPECT_THAT(bench_.rows().results(), SizeIs(1));
}

TEST_F(FarmTest, MoreUrgentGoesFirstThenOlder) {
  session_ = bench_.Join("a");
  ASSERT_TRUE(bench_.Submit(bench_.Request(1)).ok());
  ASSERT_TRUE(bench_.Submit(bench_.Request(1)).ok());
  SubmitRequested urgent = bench_.Request(1);
  urgent.priority = 0;
  ASSERT_TRUE(bench_.Submit(urgent).ok());
  bench_.Accept(session_, 1);
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].job_id(), "job-3");
  bench_.Accept(session_, 2);
  bench_.Finish(2, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(bench_.Grants()[0].job_id(), "job-2");
}

TEST_F(FarmTest, SubmissionNamesWhatStandsInTheWay) {
  const absl::Status nobody = bench_.Submit(bench_.Request());
  EXPECT_TRUE(absl::IsFailedPrecondition(nobody));
  EXPECT_THAT(std::string(nobody.message()), HasSubstr("no device is registered"));
  bench_.Join("a");
  SubmitRequested request = bench_.Request();
  request.selector = "os=linux,ram_mib>=8192";
  const absl::Status small = bench_.Submit(request);
  EXPECT_TRUE(absl::IsFailedPrecondition(small));
  EXPECT_THAT(std::string(small.message()), HasSubstr("ram_mib>=8192"));
  EXPECT_THAT(std::string(small.message()), HasSubstr("excludes 1"));
  request.selector = "";
  request.device_count = 2;
  EXPECT_THAT(std::string(bench_.Submit(request).message()),
              HasSubstr("asks for 2 devices, and 1 of 1 match"));
  request.device_count = 0;
  request.selector = "os==";
  EXPECT_FALSE(bench_.Submit(request).ok());
  EXPECT_THAT(bench_.farm().jobs(), IsEmpty());
}

TEST_F(FarmTest, WhoCannotMeasureGetsNothingThatMustBeMeasured) {
  const auto announce = [&](const std::string& name, v1::Provenance provenance) {
    AgentHello hello = bench_.Hello(name);
    v1::DeviceFacts& facts = *hello.hello.mutable_devices(0)->mutable_facts();
    facts.add_power_channels()->set_provenance(v1::PROVENANCE_ESTIMATED);
    facts.add_power_channels()->set_provenance(provenance);
    bench_.Do(hello);
  };
  announce("plain", v1::PROVENANCE_ESTIMATED);
  SubmitRequested request = bench_.Request();
  request.cells[0].spec.set_power(v1::POWER_REQUIRE_REQUIRED);
  const absl::Status nobody = bench_.Submit(request);
  EXPECT_TRUE(absl::IsFailedPrecondition(nobody));
  EXPECT_THAT(std::string(nobody.message()), HasSubstr("no measured power channel on plain"));
  request.dry_run = true;
  const auto planned = [&] {
    for (const Effect& effect : bench_.Do(request)) {
      if (const auto* reply = std::get_if<ReplyToOperator>(&effect))
        return std::get<v1::SubmitExperimentResponse>(reply->response);
    }
    return v1::SubmitExperimentResponse();
  };
  ASSERT_EQ(planned().cells_size(), 1);
  EXPECT_THAT(planned().cells(0).blocked(), HasSubstr("no measured power channel"));

  announce("rails", v1::PROVENANCE_MEASURED);
  const v1::SubmitExperimentResponse some = planned();
  EXPECT_THAT(some.cells(0).blocked(), IsEmpty());
  EXPECT_THAT(some.cells(0).devices(), ElementsAre("rails"));
  ASSERT_EQ(some.warnings_size(), 1);
  EXPECT_THAT(some.warnings(0), HasSubstr("plain"));
  request.cells[0].spec.set_power(v1::POWER_REQUIRE_OPTIONAL);
  EXPECT_THAT(planned().cells(0).devices(), SizeIs(2));
}

TEST_F(FarmTest, WhenAnAgentWasHeardOfIsStoredOnceAMinute) {
  const SessionId session = bench_.Join("a");
  const auto stored = [&] { return bench_.rows().Snapshot().agents.at(0).last_seen_wall_ns; };
  const std::int64_t joined = stored();
  for (int i = 0; i < 11; ++i) {
    bench_.Pass(5 * kSecond);
    bench_.Do(AgentAlive{session, i});
    EXPECT_EQ(stored(), joined);
  }
  bench_.Pass(5 * kSecond);
  bench_.Do(AgentAlive{session, 11});
  EXPECT_EQ(stored(), joined + 60 * kSecond);
  bench_.Pass(5 * kSecond);
  bench_.Do(AgentAlive{session, 12});
  EXPECT_EQ(stored(), joined + 60 * kSecond);
}

TEST_F(FarmTest, ADryRunPlansAndChangesNothing) {
  bench_.Join("a");
  SubmitRequested request = bench_.Request(3);
  request.dry_run = true;
  EXPECT_TRUE(bench_.Submit(request).ok());
  EXPECT_THAT(bench_.farm().jobs(), IsEmpty());
  EXPECT_EQ(bench_.DeviceOf("a").alloc, v1::DEVICE_ALLOC_FREE);
}

TEST_F(FarmTest, TheSameRequestIdIsTheSameExperimentAndNeverAnother) {
  bench_.Join("a");
  SubmitRequested request = bench_.Request(2);
  request.experiment.request_id = "r";
  ASSERT_TRUE(bench_.Submit(request).ok());
  bench_.Restart();
  ASSERT_TRUE(bench_.Submit(request).ok());
  EXPECT_THAT(bench_.farm().jobs(), SizeIs(2));
  request.experiment.sha256 = "bb";
  EXPECT_TRUE(absl::IsAlreadyExists(bench_.Submit(request)));
}

TEST_F(FarmTest, AllMeansEveryDeviceAndNMeansTheSameNForEveryCell) {
  bench_.Join("a");
  bench_.Join("b");
  bench_.Join("c");
  ASSERT_TRUE(bench_.Submit(bench_.Request(2)).ok());
  EXPECT_THAT(bench_.farm().jobs(), SizeIs(6));
  SubmitRequested two = bench_.Request(2);
  two.device_count = 2;
  ASSERT_TRUE(bench_.Submit(two).ok());
  EXPECT_THAT(bench_.farm().jobs(), SizeIs(10));
  std::map<std::string, std::set<std::string>> by_cell;
  for (const auto& [id, job] : bench_.farm().jobs()) {
    if (job.experiment == "exp-2") by_cell[job.spec->cell()].insert(job.device_id);
  }
  ASSERT_THAT(by_cell, SizeIs(2));
  EXPECT_EQ(by_cell["threads=1"], by_cell["threads=2"]);
  EXPECT_THAT(by_cell["threads=1"], SizeIs(2));
}

TEST_F(FarmTest, AnInfraFailureIsTriedAgainAndAUserFailureIsNot) {
  OneRunning();
  bench_.Finish(1, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_INFRA);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_ACTIVE);
  EXPECT_EQ(bench_.JobOf("job-1").live_fence, 2);
  bench_.Accept(session_, 2);
  bench_.Finish(2, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_USER);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_FAILED);
  EXPECT_EQ(bench_.JobOf("job-1").failure_class, v1::FAILURE_CLASS_USER);
  EXPECT_EQ(bench_.JobOf("job-1").attempts, 2);
}

TEST_F(FarmTest, RetriesEnd) {
  OneRunning();
  for (Fence fence = 1; fence <= 3; ++fence) {
    bench_.Accept(session_, fence);
    bench_.Finish(fence, v1::OUTCOME_INTERRUPTED, v1::FAILURE_CLASS_INFRA);
  }
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_FAILED);
  EXPECT_EQ(bench_.JobOf("job-1").failure_class, v1::FAILURE_CLASS_INFRA);
  EXPECT_EQ(bench_.farm().last_fence(), 3);
}

TEST_F(FarmTest, ADeviceThatWasNotLeftCleanGetsNothingUntilItsAgentSaysSo) {
  OneRunning();
  bench_.Finish(1, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_INFRA, /*clean=*/false);
  EXPECT_EQ(bench_.DeviceOf("a").alloc, v1::DEVICE_ALLOC_DIRTY);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  DeviceReported report{session_, {}};
  report.report.set_device_id("a");
  report.report.set_clean(true);
  bench_.Do(report);
  EXPECT_THAT(bench_.Grants(), SizeIs(1));
}

TEST_F(FarmTest, ARefusedGrantWaitsBeforeItIsOfferedAgain) {
  session_ = bench_.Join("a");
  ASSERT_TRUE(bench_.Submit(bench_.Request()).ok());
  bench_.Refuse(session_, 1);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_QUEUED);
  EXPECT_THAT(bench_.JobOf("job-1").reason, HasSubstr("refused"));
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  bench_.Pass(1 * kSecond);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  bench_.Pass(2 * kSecond);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].fence(), 2);
}

TEST_F(FarmTest, CancelingAQueuedJobIsImmediateAndARunningOneStopsThroughItsAgent) {
  OneRunning();
  ASSERT_TRUE(bench_.Submit(bench_.Request()).ok());
  bench_.Do(CancelJobRequested{7, "job-2"});
  EXPECT_EQ(bench_.JobOf("job-2").state, v1::JOB_STATE_CANCELED);
  bench_.Do(CancelJobRequested{8, "job-1"});
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_CANCELING);
  EXPECT_THAT(bench_.Cancels(), ElementsAre(1));
  bench_.Do(AgentAlive{session_, 5});
  const auto& effects = bench_.Do(AgentAlive{session_, 6});
  ASSERT_THAT(effects, SizeIs(1));
  EXPECT_THAT(std::get<SendToAgent>(effects[0]).message.heartbeat_ack().cancel_fences(),
              ElementsAre(1));
  bench_.Finish(1, v1::OUTCOME_CANCELED);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_CANCELED);
  EXPECT_EQ(bench_.JobOf("job-1").failure_class, v1::FAILURE_CLASS_UNSPECIFIED);
}

TEST_F(FarmTest, ASuccessThatWasFirstBeatsTheCancel) {
  OneRunning();
  bench_.Do(CancelJobRequested{8, "job-1"});
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(bench_.JobOf("job-1").reason, "finished before cancel");
}

TEST_F(FarmTest, CancelingWithTheAgentGoneEndsWithItsLeaseAndLeavesTheDeviceDirty) {
  OneRunning();
  bench_.Do(AgentGone{session_});
  bench_.Do(CancelJobRequested{8, "job-1"});
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_CANCELING);
  bench_.Pass(41 * kSecond);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_CANCELED);
  EXPECT_EQ(bench_.DeviceOf("a").alloc, v1::DEVICE_ALLOC_DIRTY);
  EXPECT_EQ(bench_.DeviceOf("a").link, v1::DEVICE_LINK_OFFLINE);
  // Back with the attempt still going: it must stop, and its word frees the device.
  session_ = bench_.Join("a", {FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING)}, /*clean=*/false);
  ASSERT_NE(bench_.TheWelcome(), nullptr);
  EXPECT_EQ(bench_.TheWelcome()->verdicts(0).verdict(), v1::VERDICT_KIND_ABORT);
  EXPECT_EQ(bench_.DeviceOf("a").alloc, v1::DEVICE_ALLOC_DIRTY);
}

TEST_F(FarmTest, AReconnectContinues) {
  OneRunning();
  bench_.Do(AgentGone{session_});
  EXPECT_EQ(bench_.AttemptOf(1).link, v1::DEVICE_LINK_UNKNOWN);
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_ACCEPTED);
  bench_.Pass(100 * kSecond);
  session_ = bench_.Join("a", {FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING)}, false);
  EXPECT_EQ(bench_.TheWelcome()->verdicts(0).verdict(), v1::VERDICT_KIND_CONTINUE);
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_RUNNING);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  bench_.Pass(0);
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_SUCCEEDED);
}

TEST_F(FarmTest, WhatAnAgentNoLongerKnowsIsLostAndTriedAgainAtOnce) {
  OneRunning();
  bench_.Do(AgentGone{session_});
  session_ = bench_.Join("a");
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_LOST);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].fence(), 2);
  EXPECT_EQ(bench_.JobOf("job-1").live_fence, 2);
}

TEST_F(FarmTest, AnAttemptWhoseFinalIsStoredIsNotLostWhenTheAgentForgetsIt) {
  OneRunning();
  bench_.Do(FinalStored{{.fence = 1}});
  bench_.Do(AgentGone{session_});
  session_ = bench_.Join("a");
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_ACCEPTED);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_SUCCEEDED);
}

TEST_F(FarmTest, AStoredFinalIsRememberedOverARestart) {
  OneRunning();
  FarmSnapshot snapshot = bench_.rows().Snapshot();
  snapshot.finals = {{.fence = 1}};
  Farm farm(FarmConfig{}, snapshot, Instant{.boot_ns = 1, .wall_ns = 1});
  AgentHello hello;
  hello.session = 9;
  hello.hello.set_agent_id("a");
  farm.Handle(hello, Instant{.boot_ns = 2, .wall_ns = 2});
  EXPECT_EQ(farm.attempts().at(1).state, v1::ATTEMPT_STATE_ACCEPTED);
  EXPECT_EQ(farm.jobs().at("job-1").state, v1::JOB_STATE_ACTIVE);
}

TEST_F(FarmTest, AnAttemptItsAgentGaveUpIsTriedAgain) {
  OneRunning();
  AttemptReported report{session_, {}};
  report.report.set_fence(1);
  report.report.set_state(v1::ATTEMPT_STATE_CANCELED);
  report.report.set_detail("does not hold it");
  bench_.Do(report);
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_LOST);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_QUEUED);
  EXPECT_THAT(bench_.JobOf("job-1").reason, HasSubstr("gave it up"));
}

TEST_F(FarmTest, AnOfferOfACanceledJobIsCanceledRightAfterItIsSentAgain) {
  session_ = bench_.Join("a");
  ASSERT_TRUE(bench_.Submit(bench_.Request()).ok());
  bench_.Do(AgentGone{session_});
  bench_.Do(CancelJobRequested{5, "job-1"});
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_CANCELING);
  bench_.Join("a");
  EXPECT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_THAT(bench_.Cancels(), ElementsAre(1));
}

TEST_F(FarmTest, ARefusedJobIsNotStartedAndStillExpires) {
  session_ = bench_.Join("a");
  SubmitRequested request = bench_.Request();
  request.cells[0].spec.mutable_limits()->set_queue_ns(30 * kSecond);
  ASSERT_TRUE(bench_.Submit(request).ok());
  bench_.Refuse(session_, 1);
  EXPECT_EQ(bench_.JobOf("job-1").started_wall_ns, std::nullopt);
  EXPECT_EQ(bench_.JobOf("job-1").attempts, 0);
  for (int i = 0; i < 40 && bench_.JobOf("job-1").state != v1::JOB_STATE_EXPIRED; ++i) {
    bench_.Pass(1 * kSecond);
    for (const v1::Grant& grant : bench_.Grants()) bench_.Refuse(session_, grant.fence());
    bench_.Do(AgentAlive{session_, std::nullopt});
  }
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_EXPIRED);
}

TEST_F(FarmTest, LosingSightOfAnAttemptThatComesBackCostsNoRetry) {
  OneRunning();
  const int retries = bench_.JobOf("job-1").retries_left;
  bench_.Do(AgentGone{session_});
  bench_.Pass(601 * kSecond);
  EXPECT_EQ(bench_.JobOf("job-1").retries_left, retries - 1);
  bench_.Join("a", {FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING)}, false);
  EXPECT_EQ(bench_.JobOf("job-1").retries_left, retries);
}

TEST_F(FarmTest, AnOfferThatWasNotAcceptedIsSentAgainWithTheSameFence) {
  session_ = bench_.Join("a");
  ASSERT_TRUE(bench_.Submit(bench_.Request()).ok());
  bench_.Do(AgentGone{session_});
  session_ = bench_.Join("a");
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].fence(), 1);
  EXPECT_EQ(bench_.Grants()[0].session_epoch(), bench_.TheWelcome()->session_epoch());
}

TEST_F(FarmTest, AnInterruptedAttemptIsOnlyUploaded) {
  OneRunning();
  bench_.Do(AgentGone{session_});
  session_ = bench_.Join("a", {FarmBench::Held(1, v1::ATTEMPT_STATE_INTERRUPTED)});
  EXPECT_EQ(bench_.TheWelcome()->verdicts(0).verdict(), v1::VERDICT_KIND_UPLOAD_ONLY);
  bench_.Finish(1, v1::OUTCOME_INTERRUPTED, v1::FAILURE_CLASS_INFRA);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_ACTIVE);
  EXPECT_EQ(bench_.JobOf("job-1").live_fence, 2);
}

TEST_F(FarmTest, TooLongOutOfReachIsLostButMayStillWinUntilAnotherIsGranted) {
  OneRunning();
  bench_.Do(AgentGone{session_});
  bench_.Pass(601 * kSecond);
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_LOST);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(bench_.JobOf("job-1").live_fence, 1);
  session_ = bench_.Join("a", {FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING)}, false);
  EXPECT_EQ(bench_.TheWelcome()->verdicts(0).verdict(), v1::VERDICT_KIND_CONTINUE);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_ACTIVE);
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_RUNNING);
  EXPECT_EQ(bench_.DeviceOf("a").alloc, v1::DEVICE_ALLOC_LEASED);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(bench_.JobOf("job-1").accepted_fence, 1);
}

TEST_F(FarmTest, AfterAnotherWasGrantedTheLostOneNeverWins) {
  bench_.Join("a");
  SubmitRequested request = bench_.Request();
  request.device_count = 1;  // not pinned: it may move
  ASSERT_TRUE(bench_.Submit(request).ok());
  bench_.Accept(1, 1);
  const SessionId b = bench_.Join("b");
  bench_.Do(AgentGone{1});
  for (int i = 0; i < 13; ++i) {
    bench_.Pass(20 * kSecond);
    bench_.Do(AgentAlive{b, std::nullopt});
    bench_.Pass(20 * kSecond);
    bench_.Do(AgentAlive{b, std::nullopt});
    bench_.Pass(10 * kSecond);
    if (!bench_.Grants().empty()) break;
  }
  ASSERT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_LOST);
  ASSERT_EQ(bench_.JobOf("job-1").live_fence, 2);
  EXPECT_EQ(bench_.AttemptOf(2).device_id, "b");
  bench_.Join("a", {FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING)}, false);
  EXPECT_EQ(bench_.TheWelcome()->verdicts(0).verdict(), v1::VERDICT_KIND_ABORT);
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_ACTIVE);
  bench_.Accept(b, 2);
  bench_.Finish(2, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(bench_.JobOf("job-1").accepted_fence, 2);
}

TEST_F(FarmTest, ARestartForgetsNothingAndGivesEveryoneAFullLease) {
  OneRunning();
  ASSERT_TRUE(bench_.Submit(bench_.Request(2)).ok());
  bench_.Restart();
  EXPECT_EQ(bench_.DeviceOf("a").link, v1::DEVICE_LINK_UNKNOWN);
  EXPECT_EQ(bench_.JobOf("job-1").live_fence, 1);
  bench_.Pass(39 * kSecond);
  EXPECT_EQ(bench_.DeviceOf("a").link, v1::DEVICE_LINK_UNKNOWN);
  session_ = bench_.Join("a", {FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING)}, false);
  EXPECT_EQ(bench_.TheWelcome()->verdicts(0).verdict(), v1::VERDICT_KIND_CONTINUE);
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].fence(), 2);
  EXPECT_EQ(bench_.Grants()[0].job_id(), "job-2");
}

TEST_F(FarmTest, AnotherProcessOfTheSameAgentEndsTheOlderForGood) {
  const SessionId first = bench_.Join("a", {}, true, "one");
  bench_.Join("a", {}, true, "two");
  ASSERT_THAT(bench_.Closed(), SizeIs(1));
  EXPECT_EQ(bench_.Closed()[0].session, first);
  EXPECT_TRUE(absl::IsAborted(bench_.Closed()[0].status));
  // A late word of the older session's end changes nothing.
  bench_.Do(AgentGone{first});
  EXPECT_EQ(bench_.DeviceOf("a").link, v1::DEVICE_LINK_ONLINE);
}

TEST_F(FarmTest, OneDeviceAnnouncedByTwoAgentsBelongsToTheFirst) {
  bench_.Join("a");
  AgentHello thief;
  thief.session = 99;
  thief.hello.set_agent_id("b");
  thief.hello.add_devices()->set_device_id("a");
  bench_.Do(thief);
  ASSERT_NE(bench_.TheWelcome(), nullptr);
  EXPECT_EQ(bench_.TheWelcome()->refused_devices().count("a"), 1);
  EXPECT_EQ(bench_.DeviceOf("a").agent_id, "a");
}

TEST_F(FarmTest, AnAgentThatKnowsAHigherFenceRaisesTheCounter) {
  AgentHello hello;
  hello.session = 1;
  hello.hello.set_agent_id("a");
  hello.hello.set_highest_fence(41);
  auto* device = hello.hello.add_devices();
  device->set_device_id("a");
  device->set_clean(true);
  bench_.Do(hello);
  ASSERT_TRUE(bench_.Submit(bench_.Request()).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].fence(), 42);
  EXPECT_EQ(bench_.rows().Snapshot().last_fence, 42);
}

TEST_F(FarmTest, ASilentAgentLosesItsSession) {
  session_ = bench_.Join("a");
  bench_.Pass(39 * kSecond);
  EXPECT_THAT(bench_.Closed(), IsEmpty());
  bench_.Pass(2 * kSecond);
  ASSERT_THAT(bench_.Closed(), SizeIs(1));
  EXPECT_EQ(bench_.DeviceOf("a").link, v1::DEVICE_LINK_OFFLINE);
}

TEST_F(FarmTest, LimitsExpireWhatWaitsAndStopWhatRuns) {
  OneRunning();
  SubmitRequested waits = bench_.Request();
  waits.cells[0].spec.mutable_limits()->set_queue_ns(10 * kSecond);
  ASSERT_TRUE(bench_.Submit(waits).ok());
  bench_.Pass(11 * kSecond);
  EXPECT_EQ(bench_.JobOf("job-2").state, v1::JOB_STATE_EXPIRED);
  EXPECT_EQ(bench_.JobOf("job-2").failure_class, v1::FAILURE_CLASS_TIMEOUT);
  for (int i = 0; i < 48 * 180; ++i) {
    bench_.Do(AgentAlive{session_, std::nullopt});
    bench_.Pass(20 * kSecond);
    if (!bench_.Cancels().empty()) break;
  }
  EXPECT_THAT(bench_.Cancels(), ElementsAre(1));
  bench_.Finish(1, v1::OUTCOME_CANCELED);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_FAILED);
  EXPECT_EQ(bench_.JobOf("job-1").failure_class, v1::FAILURE_CLASS_TIMEOUT);
}

TEST_F(FarmTest, ACellThatFailsOnTwoDevicesForItsOwnReasonsIsPoison) {
  const SessionId a = bench_.Join("a");
  const SessionId b = bench_.Join("b");
  bench_.Join("c", {}, /*clean=*/false);
  ASSERT_TRUE(bench_.Submit(bench_.Request(1)).ok());
  bench_.Accept(a, 1);
  bench_.Accept(b, 2);
  bench_.Finish(1, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_USER);
  EXPECT_EQ(bench_.JobOf("job-3").state, v1::JOB_STATE_QUEUED);
  bench_.Finish(2, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_USER);
  EXPECT_EQ(bench_.JobOf("job-3").state, v1::JOB_STATE_FAILED);
  EXPECT_EQ(bench_.JobOf("job-3").failure_class, v1::FAILURE_CLASS_POLICY);
}

TEST_F(FarmTest, AnUnansweredGrantMakesTheSessionStartOver) {
  session_ = bench_.Join("a");
  ASSERT_TRUE(bench_.Submit(bench_.Request()).ok());
  for (int i = 0; i < 4; ++i) {
    bench_.Pass(9 * kSecond);
    if (!bench_.Closed().empty()) break;
    bench_.Do(AgentAlive{session_, std::nullopt});
  }
  ASSERT_THAT(bench_.Closed(), SizeIs(1));
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_OFFERED);
}

TEST_F(FarmTest, MessagesOfStrangersAndOfOldSessionsChangeNothing) {
  OneRunning();
  const SessionId b = bench_.Join("b");
  AttemptReported report{b, {}};
  report.report.set_fence(1);
  report.report.set_state(v1::ATTEMPT_STATE_RUNNING);
  bench_.Do(report);
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_ACCEPTED);
  report.session = 12345;
  bench_.Do(report);
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_ACCEPTED);
  bench_.Do(AgentGone{777});
  bench_.Do(FinalStored{{.fence = 999}});
  AttemptFinalised unknown;
  unknown.results.fence = 999;
  EXPECT_THAT(bench_.Do(unknown), IsEmpty());
}

TEST_F(FarmTest, ProgressOfOneJobSaysNothingOfTheOthers) {
  session_ = bench_.Join("a");
  ASSERT_TRUE(bench_.Submit(bench_.Request(3)).ok());
  bench_.Accept(session_, 1);
  bench_.Finish(1, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_USER);
  bench_.Accept(session_, 2);
  const auto ask = [this](const std::string& experiment, const std::string& job) {
    for (const Effect& effect : bench_.Do(ProgressRequested{1, experiment, job})) {
      if (const auto* reply = std::get_if<ReplyToOperator>(&effect)) return *reply;
    }
    return ReplyToOperator{};
  };
  const auto all = std::get<v1::GetProgressResponse>(ask("study", "").response);
  EXPECT_EQ(all.jobs(), 3);
  const auto failed = std::get<v1::GetProgressResponse>(ask("", "job-1").response);
  EXPECT_EQ(failed.experiment(), "exp-1");
  EXPECT_EQ(failed.jobs(), 1);
  EXPECT_EQ(failed.failed(), 1);
  EXPECT_TRUE(failed.done());
  EXPECT_THAT(failed.failures(), ElementsAre("job-1  FAILED  USER  because"));
  const auto active = std::get<v1::GetProgressResponse>(ask("study", "job-2").response);
  EXPECT_EQ(active.active(), 1);
  EXPECT_FALSE(active.done());
  ASSERT_EQ(active.active_jobs_size(), 1);
  EXPECT_EQ(active.active_jobs(0).job(), "job-2");
  EXPECT_EQ(active.active_jobs(0).state(), "ACCEPTED");
  const auto queued = std::get<v1::GetProgressResponse>(ask("", "job-3").response);
  EXPECT_EQ(queued.queued(), 1);
  EXPECT_EQ(ask("", "job-9").status, absl::NotFoundError(NoSuch("job", "job-9")));
  EXPECT_TRUE(absl::IsNotFound(ask("nonsuch", "job-1").status));
}

TEST_F(FarmTest, AttemptsThatAreOverAreNotKeptInMemory) {
  session_ = bench_.Join("a");
  ASSERT_TRUE(bench_.Submit(bench_.Request(20)).ok());
  for (Fence fence = 1; fence <= 10; ++fence) {
    bench_.Accept(session_, fence);
    bench_.Finish(fence, fence % 2 == 0 ? v1::OUTCOME_SUCCEEDED : v1::OUTCOME_FAILED,
                  v1::FAILURE_CLASS_USER);
  }
  EXPECT_THAT(bench_.farm().attempts(), SizeIs(1));
  EXPECT_EQ(bench_.farm().attempts().begin()->first, 11);
  EXPECT_EQ(bench_.AttemptOf(10).state, v1::ATTEMPT_STATE_SUCCEEDED);  // stored all the same
}

TEST_F(FarmTest, ALostAttemptIsKeptUntilAnotherIsGranted) {
  OneRunning();
  bench_.Do(AgentGone{session_});
  bench_.Pass(700 * kSecond);
  ASSERT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_LOST);
  EXPECT_EQ(bench_.farm().attempts().count(1), 1u);  // it may still win
  session_ = bench_.Join("a");
  EXPECT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.farm().attempts().count(1), 0u);
  EXPECT_EQ(bench_.farm().attempts().count(2), 1u);
}

TEST_F(FarmTest, AnAttemptThatIsStillAliveOutlastsItsJob) {
  OneRunning();
  bench_.Do(CancelJobRequested{1, "job-1"});
  bench_.Do(AgentGone{session_});
  bench_.Pass(60 * kSecond);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_CANCELED);
  EXPECT_THAT(bench_.farm().attempts(), IsEmpty());
  // Its agent comes back and still holds it: nobody wants it any more.
  session_ = bench_.Join("a", {FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING)}, false);
  EXPECT_EQ(bench_.TheWelcome()->verdicts(0).verdict(), v1::VERDICT_KIND_ABORT);
}

TEST_F(FarmTest, AnIdleHourNeedsNoTicks) {
  const SessionId a = bench_.Join("a");
  int ticks = 0;
  for (int i = 0; i < 720; ++i) {
    bench_.Do(AgentAlive{a, i});
    const auto before = bench_.rows().events().size();
    bench_.Pass(5 * kSecond);
    ticks += bench_.rows().events().size() != before ? 1 : 0;
  }
  EXPECT_EQ(ticks, 0);
  EXPECT_EQ(bench_.DeviceOf("a").link, v1::DEVICE_LINK_ONLINE);
}

}  // namespace
}  // namespace joulefarm::controller
