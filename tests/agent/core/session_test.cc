#include "agent/core/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/core/session_fixture.h"

namespace joulefarm::agent {
namespace {

TEST(SessionTest, HelloSaysWhatIsHeldAndTheHighestFence) {
  SessionOptions options = TestOptions();
  options.high_water = {{"d1", 4}, {"gone", 9}};
  options.kept = {
      {.fence = 3, .device_id = "d1", .job_id = "job-3", .state = v1::ATTEMPT_STATE_INTERRUPTED},
      {.fence = 4, .device_id = "d1", .job_id = "job-4", .state = v1::ATTEMPT_STATE_UPLOADING}};
  Farmhand hand(options);
  EXPECT_EQ(hand.Do(StartRequested{}), "connect,3=INTERRUPTED,4=UPLOADING arm:hello");
  EXPECT_EQ(hand.hello.agent_id(), "a");
  EXPECT_EQ(hand.hello.boot_id(), "boot");
  EXPECT_EQ(hand.hello.highest_fence(), 9);
  ASSERT_EQ(hand.hello.devices_size(), 2);
  EXPECT_TRUE(hand.hello.devices(0).clean());
  EXPECT_EQ(hand.hello.held(0).job_id(), "job-3");
}

TEST(SessionTest, GrantIsDurableBeforeItIsAnsweredAndExecuted) {
  Farmhand hand(TestOptions());
  hand.Online();
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(1)}), "arm:lease persist:1");
  EXPECT_EQ(hand.Do(GrantPersisted{1, absl::OkStatus()}), "accept:1 start:1");
  EXPECT_EQ(hand.Do(AttemptMoved{1, v1::ATTEMPT_STATE_PREPARING, ""}), "report:1=PREPARING");
  EXPECT_EQ(hand.Do(AttemptEnded{1, true}), "report:1=UPLOADING clean:d1");
  EXPECT_EQ(hand.Do(AttemptUploaded{1}), "forget:1");
}

TEST(SessionTest, RepeatedGrantIsAnsweredWithItsState) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Do(GrantReceived{hand.connection, hand.Grant(1)});
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(1)}), "arm:lease");
  hand.Do(GrantPersisted{1, absl::OkStatus()});
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(1)}),
            "arm:lease accept:1 report:1=ACCEPTED");
  hand.Do(AttemptEnded{1, true});
  hand.Do(AttemptUploaded{1});
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(1)}), "arm:lease tell reject:1");
}

TEST(SessionTest, FenceAtOrBelowTheMarkOfBeforeACrashIsNeverExecuted) {
  SessionOptions options = TestOptions();
  options.high_water = {{"d1", 10}};
  Farmhand hand(options);
  hand.Online();
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(10)}), "arm:lease tell reject:10");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(9)}), "arm:lease tell reject:9");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(9, "d2")}), "arm:lease persist:9");
}

TEST(SessionTest, RefusedFenceStaysRefused) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(2)}), "arm:lease tell reject:2");
  hand.Do(AttemptEnded{1, true});
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(2)}), "arm:lease tell reject:2");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(3)}), "arm:lease persist:3");
}

TEST(SessionTest, DeviceIsFreeForTheNextWhileTheLastUploads) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  hand.Do(AttemptEnded{1, true});
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(2)}), "arm:lease persist:2");
}

TEST(SessionTest, GrantsOfAnotherSessionAreDropped) {
  Farmhand hand(TestOptions());
  hand.Online();
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(1, "d1", 6)}), "arm:lease tell");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection - 1, hand.Grant(1)}), "");
  EXPECT_EQ(hand.session.HighWater("d1"), 0);
}

TEST(SessionTest, GrantThatCannotBeKeptIsRefusedAndTheDaemonGoesOn) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Do(GrantReceived{hand.connection, hand.Grant(1)});
  EXPECT_EQ(hand.Do(GrantPersisted{1, absl::ResourceExhaustedError("no space left")}),
            "tell reject:1");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(2)}), "arm:lease persist:2");
}

TEST(SessionTest, UnknownAndRefusedDevicesGetNoGrant) {
  Farmhand hand(TestOptions());
  hand.Do(StartRequested{});
  v1::Welcome welcome = hand.Welcome();
  (*welcome.mutable_refused_devices())["d2"] = "announced by agent b";
  EXPECT_EQ(hand.Do(WelcomeReceived{hand.connection, welcome}),
            "disarm:hello arm:lease arm:heartbeat tell upload:7");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(1, "d2")}),
            "arm:lease tell reject:1");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(1, "d9")}),
            "arm:lease tell reject:1");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(2, "d1")}), "arm:lease persist:2");
}

TEST(SessionTest, CancelStopsOnceHoweverOftenItIsSaid) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  EXPECT_EQ(hand.Cancel(1), "arm:lease stop:1=canceled");
  EXPECT_EQ(hand.Cancel(1), "arm:lease");
  v1::HeartbeatAck ack;
  ack.add_cancel_fences(1);
  EXPECT_EQ(hand.Do(HeartbeatAckReceived{hand.connection, ack}), "arm:lease");
}

TEST(SessionTest, HeartbeatRepeatsTheCancelThatWasLost) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  v1::HeartbeatAck ack;
  ack.add_cancel_fences(1);
  ack.add_cancel_fences(99);
  EXPECT_EQ(hand.Do(HeartbeatAckReceived{hand.connection, ack}), "arm:lease stop:1=canceled");
}

TEST(SessionTest, CancelOfAGrantNotYetDurableEndsInTheOrdinaryWay) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Do(GrantReceived{hand.connection, hand.Grant(1)});
  EXPECT_EQ(hand.Cancel(1), "arm:lease");
  EXPECT_EQ(hand.Do(GrantPersisted{1, absl::OkStatus()}), "accept:1 start:1 stop:1=canceled");
}

TEST(SessionTest, CancelOfWhatIsNotHeldIsAnswered) {
  Farmhand hand(TestOptions());
  hand.Online();
  EXPECT_EQ(hand.Cancel(5), "arm:lease report:5=CANCELED");
}

TEST(SessionTest, VerdictsAreCarriedOut) {
  SessionOptions options = TestOptions({"d1", "d2", "d3"});
  options.kept = {
      {.fence = 1, .device_id = "d1", .job_id = "job-1", .state = v1::ATTEMPT_STATE_INTERRUPTED},
      {.fence = 2, .device_id = "d1", .job_id = "job-2", .state = v1::ATTEMPT_STATE_UPLOADING}};
  Farmhand hand(options);
  hand.Online();
  hand.Running(11, "d1");
  hand.Running(12, "d2");
  hand.Running(13, "d3");
  hand.Lost();
  hand.now += 15 * kSec;
  EXPECT_EQ(hand.Do(TimerFired{Timer::kReconnect}),
            "connect,1=INTERRUPTED,2=UPLOADING,11=RUNNING,12=RUNNING,13=RUNNING arm:hello");
  EXPECT_FALSE(hand.hello.devices(0).clean());
  v1::Welcome welcome = hand.Welcome(8);
  const auto add = [&](Fence fence, v1::VerdictKind kind) {
    v1::HeldVerdict* verdict = welcome.add_verdicts();
    verdict->set_fence(fence);
    verdict->set_verdict(kind);
    verdict->add_cursors()->set_fence(fence);
  };
  add(1, v1::VERDICT_KIND_UPLOAD_ONLY);
  add(2, v1::VERDICT_KIND_ABORT);
  add(11, v1::VERDICT_KIND_CONTINUE);
  add(12, v1::VERDICT_KIND_UPLOAD_ONLY);
  add(13, v1::VERDICT_KIND_ABORT);
  EXPECT_EQ(
      hand.Do(WelcomeReceived{hand.connection, welcome}),
      "disarm:hello arm:lease arm:heartbeat tell forget:2 stop:12=upload_only stop:13=aborted "
      "upload:8+cursors report:11=RUNNING report:12=RUNNING report:13=RUNNING");
  const auto& upload = std::get<OpenUpload>(hand.last[7]);
  ASSERT_EQ(upload.cursors.size(), 4u);  // nothing for what was forgotten
  EXPECT_EQ(hand.Do(AttemptEnded{13, true}), "report:13=CANCELED forget:13 clean:d3");
  EXPECT_EQ(hand.Do(AttemptEnded{12, true}), "report:12=UPLOADING clean:d2");
}

TEST(SessionTest, DeviceThatBecameCleanWhileAwayIsReported) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  hand.Lost();
  hand.now += 15 * kSec;
  hand.Do(TimerFired{Timer::kReconnect});
  EXPECT_EQ(hand.Do(AttemptEnded{1, true}), "");
  EXPECT_EQ(hand.Do(WelcomeReceived{hand.connection, hand.Welcome(8)}),
            "disarm:hello arm:lease arm:heartbeat tell upload:8 clean:d1");
}

TEST(SessionTest, LeaseLapseStopsOnlyWhatIsToStop) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1, "d1", v1::ON_DISCONNECT_CONTINUE);
  hand.Running(2, "d2", v1::ON_DISCONNECT_STOP);
  hand.now += 29 * kSec;
  hand.Do(TimerFired{Timer::kHeartbeat});
  hand.Lost();
  // Armed with the last message heard, and checked again: too early does nothing.
  EXPECT_EQ(hand.Do(TimerFired{Timer::kLease}), "arm:lease");
  hand.now += 2 * kSec;
  EXPECT_EQ(hand.Do(TimerFired{Timer::kLease}), "stop:2=lease");
}

TEST(SessionTest, SilentConnectionIsGivenUpWhenTheLeaseLapses) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.now += 31 * kSec;
  EXPECT_EQ(hand.Do(TimerFired{Timer::kLease}), "tell disconnect disarm:heartbeat arm:reconnect");
  EXPECT_EQ(hand.session.link(), Session::Link::kBackOff);
}

TEST(SessionTest, HeartbeatsAtTheAskedIntervalWithRisingNumbers) {
  Farmhand hand(TestOptions());
  hand.Online();
  for (int seq = 1; seq <= 3; ++seq) {
    hand.now += 5 * kSec;
    EXPECT_EQ(hand.Do(TimerFired{Timer::kHeartbeat}), "heartbeat arm:heartbeat");
    EXPECT_EQ(std::get<Send>(hand.last[0]).message.heartbeat().seq(), seq);
    EXPECT_EQ(std::get<ArmTimer>(hand.last[1]).deadline_ns, hand.now + 5 * kSec);
  }
}

TEST(SessionTest, SupersededStopsItsAttemptsAndExitsNonZero) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  EXPECT_EQ(hand.Lost(absl::AbortedError("a newer session")),
            "disconnect disarm:heartbeat tell stop:1=shutdown arm:drain");
  EXPECT_EQ(hand.Do(AttemptEnded{1, true}), "exit:3");
  EXPECT_EQ(hand.session.link(), Session::Link::kExited);
}

TEST(SessionTest, AbortedUploadIsNoReasonToExit) {
  Farmhand hand(TestOptions());
  hand.Online();
  EXPECT_EQ(hand.Lost(absl::AbortedError("x"), Rpc::kUpload),
            "disconnect disarm:heartbeat tell arm:reconnect");
}

TEST(SessionTest, DrainStopsUploadsAndExitsZero) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  EXPECT_EQ(hand.Do(DrainRequested{}), "stop:1=shutdown arm:drain");
  EXPECT_EQ(hand.Do(DrainRequested{}), "");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(2, "d2")}),
            "arm:lease tell reject:2");
  EXPECT_EQ(hand.Do(AttemptEnded{1, true}), "report:1=UPLOADING clean:d1");
  EXPECT_EQ(hand.Do(AttemptUploaded{1}), "forget:1 disconnect disarm:heartbeat exit:0");
}

TEST(SessionTest, DrainDoesNotWaitForAControllerThatIsAway) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  hand.Lost();
  EXPECT_EQ(hand.Do(DrainRequested{}), "stop:1=shutdown arm:drain disarm:reconnect");
  EXPECT_EQ(hand.Do(AttemptEnded{1, true}), "exit:0");
}

TEST(SessionTest, DrainIsBounded) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  hand.Do(DrainRequested{});
  hand.now += 16 * kSec;
  EXPECT_EQ(hand.Do(TimerFired{Timer::kDrain}), "disconnect disarm:heartbeat exit:0");
  EXPECT_EQ(hand.Do(StartRequested{}), "");
}

TEST(SessionTest, EndThatCouldNotBeKeptMakesTheAttemptLost) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  hand.Do(AttemptEnded{1, true});
  EXPECT_EQ(hand.Do(EndNotStored{1, absl::ResourceExhaustedError("disk full")}),
            "tell forget:1 disconnect disarm:heartbeat arm:reconnect");
  hand.now += 15 * kSec;
  EXPECT_EQ(hand.Do(TimerFired{Timer::kReconnect}), "connect arm:hello");
}

TEST(SessionTest, StaleFenceStopsAndForgets) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  EXPECT_EQ(hand.Do(AttemptRefused{1, v1::STREAM_LOG, "STALE_FENCE"}), "tell stop:1=aborted");
  EXPECT_EQ(hand.Do(AttemptRefused{1, v1::STREAM_EVENT, "STALE_FENCE"}), "");
  EXPECT_EQ(hand.Do(AttemptMoved{1, v1::ATTEMPT_STATE_RUNNING, "late"}), "");
  EXPECT_EQ(hand.Do(AttemptEnded{1, true}), "report:1=CANCELED forget:1 clean:d1");
}

TEST(SessionTest, ABrokenTraceOrLogDoesNotEndTheRun) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  EXPECT_EQ(hand.Do(AttemptRefused{1, v1::STREAM_POWER, "BAD_CRC: damaged"}), "");
  EXPECT_EQ(hand.Do(AttemptRefused{1, v1::STREAM_EVENT, "BAD_CRC: damaged"}),
            "tell stop:1=aborted");
}

TEST(SessionTest, StaleStreamOfAFinishedAttemptLeavesTheOthersAsEvidence) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  hand.Do(AttemptEnded{1, true});
  EXPECT_EQ(hand.Do(AttemptRefused{1, v1::STREAM_POWER, "STALE_FENCE"}), "");
  EXPECT_EQ(hand.Do(AttemptRefused{1, v1::STREAM_FINAL, "STALE_FENCE"}), "tell forget:1");
}

TEST(SessionTest, MissingFramesMakeTheAttemptLost) {
  Farmhand hand(TestOptions());
  hand.Online();
  hand.Running(1);
  hand.Do(AttemptEnded{1, true});
  EXPECT_EQ(hand.Do(FramesMissing{1, "event 4"}),
            "tell forget:1 disconnect disarm:heartbeat arm:reconnect");
}

TEST(SessionTest, UnreachableIsSaidOnceThenAtGrowingIntervals) {
  Farmhand hand(TestOptions());
  hand.Do(StartRequested{});
  int said = 0;
  const std::int64_t end = hand.now + 3600 * kSec;
  while (hand.now < end) {
    if (hand.Lost().find("tell") != std::string::npos) ++said;
    hand.now += 16 * kSec;
    hand.Do(TimerFired{Timer::kReconnect});
  }
  EXPECT_GE(said, 5);
  EXPECT_LE(said, 12);
  EXPECT_EQ(hand.Do(WelcomeReceived{hand.connection, hand.Welcome()}),
            "disarm:hello arm:lease arm:heartbeat tell upload:7");
}

TEST(SessionTest, ControllerThatNeverAnswersTheHelloIsLeft) {
  Farmhand hand(TestOptions());
  hand.Do(StartRequested{});
  hand.now += 21 * kSec;
  EXPECT_EQ(hand.Do(TimerFired{Timer::kHello}), "tell disconnect arm:reconnect");
}

}  // namespace
}  // namespace joulefarm::agent
