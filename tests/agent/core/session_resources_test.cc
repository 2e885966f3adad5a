// The session's meters: announcing, helper attempts, and that a meter is used by one attempt at a
// time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "agent/core/session.h"
#include "tests/agent/core/session_fixture.h"

namespace joulefarm::agent {
namespace {

SessionOptions WithMeters() {
  SessionOptions options = TestOptions();
  options.resources = {Farmhand::Meter("m1"), Farmhand::Meter("m2", "no permission")};
  return options;
}

TEST(SessionResourcesTest, HelloAnnouncesThemAndWhoUsesThem) {
  Farmhand hand(WithMeters());
  hand.Online();
  ASSERT_EQ(hand.hello.resources_size(), 2);
  EXPECT_EQ(Describe::Resource(hand.hello.resources(0)), "m1");
  EXPECT_EQ(Describe::Resource(hand.hello.resources(1)), "m2!");
  hand.Do(GrantReceived{hand.connection, hand.HelperGrant(4)});
  hand.Do(GrantPersisted{4, absl::OkStatus()});
  hand.Lost();
  hand.now += 60 * kSec;
  hand.Do(TimerFired{Timer::kReconnect});
  EXPECT_EQ(Describe::Resource(hand.hello.resources(0)), "m1=4");
  ASSERT_EQ(hand.hello.held_size(), 1);
  EXPECT_EQ(hand.hello.held(0).source(), 1);
  EXPECT_EQ(hand.hello.highest_fence(), 4);
}

TEST(SessionResourcesTest, AHelperRunsUntilItIsReleased) {
  Farmhand hand(WithMeters());
  hand.Online();
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.HelperGrant(1)}), "arm:lease persist:1");
  EXPECT_EQ(hand.Do(GrantPersisted{1, absl::OkStatus()}), "accept:1 start:1");
  EXPECT_EQ(hand.Do(AttemptMoved{1, v1::ATTEMPT_STATE_RUNNING, ""}), "report:1=RUNNING");
  EXPECT_EQ(hand.Release(1), "arm:lease stop:1=released");
  EXPECT_EQ(hand.Release(1), "arm:lease");
  // No device of this agent was touched: only the meter is given back.
  EXPECT_EQ(hand.Do(AttemptEnded{1, true}), "report:1=UPLOADING has:m1");
  EXPECT_EQ(hand.Do(AttemptUploaded{1}), "forget:1");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.HelperGrant(1)}),
            "arm:lease tell reject:1");
}

TEST(SessionResourcesTest, TheDeviceWorksBesideAHelper) {
  Farmhand hand(WithMeters());
  hand.Online();
  hand.Do(GrantReceived{hand.connection, hand.HelperGrant(1)});
  hand.Do(GrantPersisted{1, absl::OkStatus()});
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.Grant(2)}), "arm:lease persist:2");
}

TEST(SessionResourcesTest, AMeterHasOneUserInEitherRole) {
  Farmhand hand(WithMeters());
  hand.Online();
  hand.Do(GrantReceived{hand.connection, hand.HelperGrant(1)});
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.HelperGrant(2)}),
            "arm:lease tell reject:2");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.GrantWith(hand.Grant(3), "m1", 0)}),
            "arm:lease tell reject:3");
  hand.Do(GrantPersisted{1, absl::OkStatus()});
  hand.Do(AttemptEnded{1, true});
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.GrantWith(hand.Grant(4), "m1", 0)}),
            "arm:lease persist:4");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.HelperGrant(5)}),
            "arm:lease tell reject:5");
  hand.Do(GrantPersisted{4, absl::OkStatus()});
  EXPECT_EQ(hand.Do(AttemptEnded{4, false}), "report:4=UPLOADING dirty:d1 has:m1");
}

TEST(SessionResourcesTest, AMeterOfAnotherAgentIsNoneOfOurs) {
  Farmhand hand(WithMeters());
  hand.Online();
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.GrantWith(hand.Grant(1), "far", 1, "lab")}),
            "arm:lease persist:1");
}

TEST(SessionResourcesTest, WhatCannotBeUsedIsRefusedWithTheReason) {
  Farmhand hand(WithMeters());
  hand.Do(StartRequested{});
  v1::Welcome welcome = hand.Welcome();
  (*welcome.mutable_refused_resources())["m1"] = "agent b has it";
  EXPECT_EQ(hand.Do(WelcomeReceived{hand.connection, welcome}),
            "disarm:hello arm:lease arm:heartbeat tell upload:7 has:m1+m2!");
  for (const char* meter : {"m1", "m2", "m9"}) {
    EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.HelperGrant(1, meter)}),
              "arm:lease tell reject:1")
        << meter;
  }
  v1::Grant nothing = hand.HelperGrant(2);
  nothing.clear_resources();
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, nothing}), "arm:lease tell reject:2");
}

TEST(SessionResourcesTest, WhatChangesIsReportedAndWhatGoesHasThatInItsWay) {
  Farmhand hand(WithMeters());
  hand.Online();
  EXPECT_EQ(hand.Do(ResourcesChanged{{Farmhand::Meter("m1"), Farmhand::Meter("m2")}}), "has:m2");
  EXPECT_EQ(hand.Do(ResourcesChanged{{Farmhand::Meter("m1"), Farmhand::Meter("m2")}}), "");
  EXPECT_EQ(hand.Do(ResourcesChanged{{Farmhand::Meter("m2"), Farmhand::Meter("m3")}}),
            "has:m3+m1!");
  EXPECT_EQ(hand.Do(ResourcesChanged{{Farmhand::Meter("m2"), Farmhand::Meter("m3")}}), "");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.HelperGrant(1)}),
            "arm:lease tell reject:1");
  EXPECT_EQ(hand.Do(ResourcesChanged{
                {Farmhand::Meter("m1"), Farmhand::Meter("m2"), Farmhand::Meter("m3")}}),
            "has:m1");
  EXPECT_EQ(hand.Do(GrantReceived{hand.connection, hand.HelperGrant(2)}), "arm:lease persist:2");
}

TEST(SessionResourcesTest, ReleaseOfWhatIsNotHeldIsAnswered) {
  Farmhand hand(WithMeters());
  hand.Online();
  EXPECT_EQ(hand.Release(5), "arm:lease report:5=CANCELED has:m1+m2!");
}

TEST(SessionResourcesTest, ACancelOfWhatIsNotHeldIsAnsweredTheSameWay) {
  Farmhand hand(WithMeters());
  hand.Online();
  EXPECT_EQ(hand.Cancel(5), "arm:lease report:5=CANCELED has:m1+m2!");
}

// The controller asks again: what was said at the end may have come while the lease still stood.
TEST(SessionResourcesTest, ReleaseOfWhatHasEndedTellsWhatIsFree) {
  Farmhand hand(WithMeters());
  hand.Online();
  hand.Do(GrantReceived{hand.connection, hand.HelperGrant(1)});
  hand.Do(GrantPersisted{1, absl::OkStatus()});
  hand.Do(AttemptEnded{1, true});
  EXPECT_EQ(hand.Release(1), "arm:lease has:m1+m2!");
}

TEST(SessionResourcesTest, AGrantThatCannotBeKeptGivesItsMeterBack) {
  Farmhand hand(WithMeters());
  hand.Online();
  hand.Do(GrantReceived{hand.connection, hand.HelperGrant(1)});
  hand.Release(1);
  EXPECT_EQ(hand.Do(GrantPersisted{1, absl::UnavailableError("disk")}), "tell reject:1 has:m1");
}

TEST(SessionResourcesTest, AReleaseBeforeTheGrantIsDurableEndsInTheOrdinaryWay) {
  Farmhand hand(WithMeters());
  hand.Online();
  hand.Do(GrantReceived{hand.connection, hand.HelperGrant(1)});
  EXPECT_EQ(hand.Release(1), "arm:lease");
  EXPECT_EQ(hand.Do(GrantPersisted{1, absl::OkStatus()}), "accept:1 start:1 stop:1=released");
}

TEST(SessionResourcesTest, WhatWasKeptOfAHelperIsHeldUnderItsSource) {
  SessionOptions options = WithMeters();
  options.kept = {{.fence = 3,
                   .device_id = "far",
                   .job_id = "job-3",
                   .source = 1,
                   .state = v1::ATTEMPT_STATE_INTERRUPTED}};
  Farmhand hand(options);
  hand.Do(StartRequested{});
  ASSERT_EQ(hand.hello.held_size(), 1);
  EXPECT_EQ(hand.hello.held(0).source(), 1);
  EXPECT_EQ(Describe::Resource(hand.hello.resources(0)), "m1");
}

// Random grants, releases, cancels and ends: no meter is ever used twice.
TEST(SessionResourcesTest, NoMeterIsEverUsedByTwo) {
  std::size_t started = 0;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](std::size_t n) { return random() % n; };
    SessionOptions options = TestOptions();
    options.resources = {Farmhand::Meter("m1"), Farmhand::Meter("m2")};
    Farmhand hand(options);
    hand.Online();
    std::map<std::string, Fence> used;
    std::map<Fence, std::string> runs;
    std::set<Fence> persisting;
    Fence top = 0;
    for (int step = 0; step < 300; ++step) {
      hand.last.clear();
      const std::string meter = pick(2) == 0 ? "m1" : "m2";
      const Fence some = static_cast<Fence>(pick(static_cast<std::size_t>(top) + 2));
      switch (pick(6)) {
        case 0:
          hand.Do(GrantReceived{hand.connection, hand.HelperGrant(++top, meter)});
          break;
        case 1:
          hand.Do(GrantReceived{hand.connection, hand.GrantWith(hand.Grant(++top), meter, 0)});
          break;
        case 2:
          if (!persisting.empty())
            hand.Do(GrantPersisted{*persisting.begin(), pick(5) == 0
                                                            ? absl::UnavailableError("disk")
                                                            : absl::OkStatus()});
          break;
        case 3:
          if (const auto run = runs.find(some); run != runs.end()) {
            used.erase(run->second);
            runs.erase(run);
          }
          hand.Do(AttemptEnded{some, true});
          break;
        case 4:
          hand.Release(some);
          break;
        case 5:
          hand.Cancel(some);
          break;
      }
      for (const Effect& effect : hand.last) {
        if (const auto* persist = std::get_if<PersistGrant>(&effect)) {
          persisting.insert(persist->grant.fence());
        } else if (const auto* start = std::get_if<StartAttempt>(&effect)) {
          const std::string of = start->grant.resources(0).resource_id();
          ASSERT_TRUE(used.emplace(of, start->grant.fence()).second)
              << of << " by " << used.at(of) << " and " << start->grant.fence();
          runs[start->grant.fence()] = of;
          ++started;
        } else if (const auto* send = std::get_if<Send>(&effect);
                   send != nullptr && send->message.has_grant_reply()) {
          persisting.erase(send->message.grant_reply().fence());
        }
      }
    }
  }
  EXPECT_GT(started, 500u);
}

}  // namespace
}  // namespace joulefarm::agent
