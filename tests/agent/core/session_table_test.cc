// Every state of the link × every event: what comes out and where it leads.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>

#include "tests/agent/core/session_fixture.h"

namespace joulefarm::agent {
namespace {

const char* LinkName(Session::Link link) {
  switch (link) {
    case Session::Link::kIdle:
      return "idle";
    case Session::Link::kConnecting:
      return "connecting";
    case Session::Link::kOnline:
      return "online";
    case Session::Link::kBackOff:
      return "backoff";
    case Session::Link::kExited:
      return "exited";
  }
  return "";
}

// One attempt in each stage: 1 executes, 2 has ended, 3 is being made durable.
void OnlineAndBusy(Farmhand& hand) {
  hand.Online();
  hand.Running(1);
  hand.Running(2, "d2");
  hand.Do(AttemptEnded{2, true});
  hand.Do(GrantReceived{hand.connection, hand.Grant(3, "d2")});
}

const std::map<std::string, std::function<void(Farmhand&)>>& States() {
  static const std::map<std::string, std::function<void(Farmhand&)>> states = {
      {"idle", [](Farmhand&) {}},
      {"connecting", [](Farmhand& hand) { hand.Do(StartRequested{}); }},
      {"online", OnlineAndBusy},
      {"backoff",
       [](Farmhand& hand) {
         OnlineAndBusy(hand);
         hand.Lost();
       }},
      {"draining",
       [](Farmhand& hand) {
         OnlineAndBusy(hand);
         hand.Do(DrainRequested{});
       }},
      {"exited", [](Farmhand& hand) { hand.Do(DrainRequested{}); }},
  };
  return states;
}

const std::map<std::string, std::function<Event(Farmhand&)>>& Events() {
  static const std::map<std::string, std::function<Event(Farmhand&)>> events = {
      {"start", [](Farmhand&) { return StartRequested{}; }},
      {"drain", [](Farmhand&) { return DrainRequested{}; }},
      {"welcome",
       [](Farmhand& hand) {
         return WelcomeReceived{hand.connection, hand.Welcome(8)};
       }},
      {"grant",
       [](Farmhand& hand) {
         return GrantReceived{hand.connection, hand.Grant(9, "d2")};
       }},
      {"cancel",
       [](Farmhand& hand) {
         v1::CancelAttempt cancel;
         cancel.set_fence(1);
         return CancelReceived{hand.connection, cancel};
       }},
      {"release",
       [](Farmhand& hand) {
         v1::ReleaseSource release;
         release.set_fence(1);
         return ReleaseReceived{hand.connection, release};
       }},
      {"resources", [](Farmhand&) { return ResourcesChanged{{Farmhand::Meter("m1")}}; }},
      {"ack",
       [](Farmhand& hand) {
         return HeartbeatAckReceived{hand.connection, {}};
       }},
      {"lost",
       [](Farmhand& hand) {
         return LinkLost{hand.connection, Rpc::kControl, absl::UnavailableError("x")};
       }},
      {"superseded",
       [](Farmhand& hand) {
         return LinkLost{hand.connection, Rpc::kControl, absl::AbortedError("x")};
       }},
      {"t:reconnect", [](Farmhand&) { return TimerFired{Timer::kReconnect}; }},
      {"t:hello", [](Farmhand&) { return TimerFired{Timer::kHello}; }},
      {"t:heartbeat", [](Farmhand&) { return TimerFired{Timer::kHeartbeat}; }},
      {"t:lease", [](Farmhand&) { return TimerFired{Timer::kLease}; }},
      {"t:drain", [](Farmhand&) { return TimerFired{Timer::kDrain}; }},
      {"persisted",
       [](Farmhand&) {
         return GrantPersisted{3, absl::OkStatus()};
       }},
      {"unpersisted",
       [](Farmhand&) {
         return GrantPersisted{3, absl::UnavailableError("x")};
       }},
      {"moved",
       [](Farmhand&) {
         return AttemptMoved{1, v1::ATTEMPT_STATE_RUNNING, ""};
       }},
      {"ended",
       [](Farmhand&) {
         return AttemptEnded{1, true};
       }},
      {"unstored",
       [](Farmhand&) {
         return EndNotStored{2, absl::UnavailableError("x")};
       }},
      {"uploaded", [](Farmhand&) { return AttemptUploaded{2}; }},
      {"refused",
       [](Farmhand&) {
         return AttemptRefused{2, v1::STREAM_FINAL, "STALE_FENCE"};
       }},
      {"missing",
       [](Farmhand&) {
         return FramesMissing{2, "x"};
       }},
  };
  return events;
}

struct Row {
  const char* state;
  const char* event;
  const char* link;
  const char* effects;
};

// Timers fire 100 s late, so every deadline that is armed has passed.
constexpr Row kRows[] = {
    {"idle", "start", "connecting", "connect arm:hello"},
    {"idle", "drain", "exited", "arm:drain exit:0"},
    {"idle", "welcome", "idle", ""},
    {"idle", "grant", "idle", ""},
    {"idle", "cancel", "idle", ""},
    {"idle", "release", "idle", ""},
    {"idle", "resources", "idle", ""},
    {"idle", "ack", "idle", ""},
    {"idle", "lost", "idle", ""},
    {"idle", "superseded", "idle", ""},
    {"idle", "t:reconnect", "idle", ""},
    {"idle", "t:hello", "idle", ""},
    {"idle", "t:heartbeat", "idle", ""},
    {"idle", "t:lease", "idle", ""},
    {"idle", "t:drain", "idle", ""},
    {"idle", "persisted", "idle", ""},
    {"idle", "unpersisted", "idle", ""},
    {"idle", "moved", "idle", ""},
    {"idle", "ended", "idle", ""},
    {"idle", "unstored", "idle", ""},
    {"idle", "uploaded", "idle", ""},
    {"idle", "refused", "idle", ""},
    {"idle", "missing", "idle", ""},
    {"connecting", "start", "connecting", ""},
    {"connecting", "drain", "exited", "arm:drain disconnect disarm:hello exit:0"},
    {"connecting", "welcome", "online", "disarm:hello arm:lease arm:heartbeat upload:8"},
    {"connecting", "grant", "connecting", ""},
    {"connecting", "cancel", "connecting", ""},
    {"connecting", "release", "connecting", ""},
    {"connecting", "resources", "connecting", ""},
    {"connecting", "ack", "connecting", ""},
    {"connecting", "lost", "backoff", "disconnect disarm:hello tell arm:reconnect"},
    {"connecting", "superseded", "exited", "disconnect disarm:hello tell arm:drain exit:3"},
    {"connecting", "t:reconnect", "connecting", ""},
    {"connecting", "t:hello", "backoff", "tell disconnect arm:reconnect"},
    {"connecting", "t:heartbeat", "connecting", ""},
    {"connecting", "t:lease", "connecting", ""},
    {"connecting", "t:drain", "connecting", ""},
    {"connecting", "persisted", "connecting", ""},
    {"connecting", "unpersisted", "connecting", ""},
    {"connecting", "moved", "connecting", ""},
    {"connecting", "ended", "connecting", ""},
    {"connecting", "unstored", "connecting", ""},
    {"connecting", "uploaded", "connecting", ""},
    {"connecting", "refused", "connecting", ""},
    {"connecting", "missing", "connecting", ""},
    {"online", "start", "online", ""},
    {"online", "drain", "online", "stop:1=shutdown arm:drain"},
    {"online", "welcome", "online", ""},
    {"online", "grant", "online", "arm:lease tell reject:9"},
    {"online", "cancel", "online", "arm:lease stop:1=canceled"},
    {"online", "release", "online", "arm:lease stop:1=released"},
    {"online", "resources", "online", "has:m1"},
    {"online", "ack", "online", "arm:lease"},
    {"online", "lost", "backoff", "disconnect disarm:heartbeat tell arm:reconnect"},
    {"online", "superseded", "backoff",
     "disconnect disarm:heartbeat tell stop:1=shutdown arm:drain"},
    {"online", "t:reconnect", "online", ""},
    {"online", "t:hello", "online", ""},
    {"online", "t:heartbeat", "online", "heartbeat arm:heartbeat"},
    {"online", "t:lease", "backoff", "tell disconnect disarm:heartbeat arm:reconnect"},
    {"online", "t:drain", "online", ""},
    {"online", "persisted", "online", "accept:3 start:3"},
    {"online", "unpersisted", "online", "tell reject:3"},
    {"online", "moved", "online", "report:1=RUNNING"},
    {"online", "ended", "online", "report:1=UPLOADING clean:d1"},
    {"online", "unstored", "backoff", "tell forget:2 disconnect disarm:heartbeat arm:reconnect"},
    {"online", "uploaded", "online", "forget:2"},
    {"online", "refused", "online", "tell forget:2"},
    {"online", "missing", "backoff", "tell forget:2 disconnect disarm:heartbeat arm:reconnect"},
    {"backoff", "start", "backoff", ""},
    {"backoff", "drain", "backoff", "stop:1=shutdown arm:drain disarm:reconnect"},
    {"backoff", "welcome", "backoff", ""},
    {"backoff", "grant", "backoff", ""},
    {"backoff", "cancel", "backoff", ""},
    {"backoff", "release", "backoff", ""},
    {"backoff", "resources", "backoff", ""},
    {"backoff", "ack", "backoff", ""},
    {"backoff", "lost", "backoff", ""},
    {"backoff", "superseded", "backoff", ""},
    {"backoff", "t:reconnect", "connecting", "connect,1=RUNNING,2=UPLOADING arm:hello"},
    {"backoff", "t:hello", "backoff", ""},
    {"backoff", "t:heartbeat", "backoff", ""},
    {"backoff", "t:lease", "backoff", ""},
    {"backoff", "t:drain", "backoff", ""},
    {"backoff", "persisted", "backoff", "start:3"},
    {"backoff", "unpersisted", "backoff", "tell"},
    {"backoff", "moved", "backoff", ""},
    {"backoff", "ended", "backoff", ""},
    {"backoff", "unstored", "backoff", "tell forget:2"},
    {"backoff", "uploaded", "backoff", "forget:2"},
    {"backoff", "refused", "backoff", "tell forget:2"},
    {"backoff", "missing", "backoff", "tell forget:2"},
    {"draining", "start", "online", ""},
    {"draining", "drain", "online", ""},
    {"draining", "welcome", "online", ""},
    {"draining", "grant", "online", "arm:lease tell reject:9"},
    {"draining", "cancel", "online", "arm:lease"},
    {"draining", "release", "online", "arm:lease"},
    {"draining", "resources", "online", "has:m1"},
    {"draining", "ack", "online", "arm:lease"},
    {"draining", "lost", "backoff", "disconnect disarm:heartbeat tell arm:reconnect"},
    {"draining", "superseded", "backoff", "disconnect disarm:heartbeat tell arm:drain"},
    {"draining", "t:reconnect", "online", ""},
    {"draining", "t:hello", "online", ""},
    {"draining", "t:heartbeat", "online", "heartbeat arm:heartbeat"},
    {"draining", "t:lease", "backoff", "tell disconnect disarm:heartbeat arm:reconnect"},
    {"draining", "t:drain", "exited", "disconnect disarm:heartbeat exit:0"},
    {"draining", "persisted", "online", "accept:3 start:3 stop:3=shutdown"},
    {"draining", "unpersisted", "online", "tell reject:3"},
    {"draining", "moved", "online", "report:1=RUNNING"},
    {"draining", "ended", "online", "report:1=UPLOADING clean:d1"},
    {"draining", "unstored", "backoff", "tell forget:2 disconnect disarm:heartbeat arm:reconnect"},
    {"draining", "uploaded", "online", "forget:2"},
    {"draining", "refused", "online", "tell forget:2"},
    {"draining", "missing", "backoff", "tell forget:2 disconnect disarm:heartbeat arm:reconnect"},
    {"exited", "start", "exited", ""},
    {"exited", "drain", "exited", ""},
    {"exited", "welcome", "exited", ""},
    {"exited", "grant", "exited", ""},
    {"exited", "cancel", "exited", ""},
    {"exited", "release", "exited", ""},
    {"exited", "resources", "exited", ""},
    {"exited", "ack", "exited", ""},
    {"exited", "lost", "exited", ""},
    {"exited", "superseded", "exited", ""},
    {"exited", "t:reconnect", "exited", ""},
    {"exited", "t:hello", "exited", ""},
    {"exited", "t:heartbeat", "exited", ""},
    {"exited", "t:lease", "exited", ""},
    {"exited", "t:drain", "exited", ""},
    {"exited", "persisted", "exited", ""},
    {"exited", "unpersisted", "exited", ""},
    {"exited", "moved", "exited", ""},
    {"exited", "ended", "exited", ""},
    {"exited", "unstored", "exited", ""},
    {"exited", "uploaded", "exited", ""},
    {"exited", "refused", "exited", ""},
    {"exited", "missing", "exited", ""},
};

TEST(SessionTableTest, EveryStateAndEvent) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(std::string(row.state) + " x " + row.event);
    Farmhand hand(TestOptions());
    States().at(row.state)(hand);
    hand.now += 100 * kSec;
    EXPECT_EQ(hand.Do(Events().at(row.event)(hand)), row.effects);
    EXPECT_STREQ(LinkName(hand.session.link()), row.link);
  }
}

TEST(SessionTableTest, TableIsComplete) {
  std::map<std::string, int> seen;
  for (const Row& row : kRows) ++seen[std::string(row.state) + "/" + row.event];
  for (const auto& [state, setup] : States()) {
    for (const auto& [event, make] : Events()) {
      EXPECT_EQ(seen[state + "/" + event], 1) << state << "/" << event;
    }
  }
}

}  // namespace
}  // namespace joulefarm::agent
