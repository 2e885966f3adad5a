// Random sequences of events, seeded: whatever happens, no fence is executed twice or at or below
// its device's mark, no device executes two attempts, marks never fall, and nothing starts before
// it is durable.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/agent/core/session_fixture.h"

namespace joulefarm::agent {
namespace {

// The shell and the controller as nastily as they may be.
class World {
 public:
  explicit World(unsigned seed) : random_(seed), hand_(TestOptions(devices_)) {}

  void Step() {
    hand_.now += static_cast<std::int64_t>(Pick(3)) * kSec;
    switch (Pick(14)) {
      case 0:
        Run(StartRequested{});
        break;
      case 1:
        Run(WelcomeReceived{SomeConnection(), SomeWelcome()});
        break;
      case 2:
      case 3:
      case 4:
        Run(GrantReceived{SomeConnection(), SomeGrant()});
        break;
      case 5: {
        v1::CancelAttempt cancel;
        cancel.set_fence(SomeFence());
        Run(CancelReceived{SomeConnection(), cancel});
        break;
      }
      case 6: {
        v1::HeartbeatAck ack;
        if (Pick(3) == 0) ack.add_cancel_fences(SomeFence());
        Run(HeartbeatAckReceived{SomeConnection(), ack});
        break;
      }
      case 7:
        if (Pick(4) == 0)
          Run(LinkLost{SomeConnection(), Pick(2) == 0 ? Rpc::kControl : Rpc::kUpload,
                       absl::UnavailableError("x")});
        break;
      case 8: {
        hand_.now += static_cast<std::int64_t>(Pick(8)) * kSec;
        Run(TimerFired{static_cast<Timer>(Pick(4))});
        break;
      }
      case 9:
        Run(GrantPersisted{SomePersisting(),
                           Pick(8) == 0 ? absl::UnavailableError("disk") : absl::OkStatus()});
        break;
      case 10:
        Run(AttemptMoved{SomeFence(), v1::ATTEMPT_STATE_RUNNING, ""});
        break;
      case 11: {
        const Fence fence = SomeExecuting();
        executing_.erase(fence);
        Run(AttemptEnded{fence, Pick(4) != 0});
        if (Pick(8) == 0) Run(EndNotStored{fence, absl::UnavailableError("disk")});
        break;
      }
      case 12:
        Run(AttemptUploaded{SomeFence()});
        break;
      case 13:
        if (Pick(5) != 0) break;
        Pick(2) == 0
            ? Run(AttemptRefused{SomeFence(), static_cast<v1::Stream>(1 + Pick(7)), "STALE_FENCE"})
            : Run(FramesMissing{SomeFence(), "x"});
        break;
    }
  }

  std::size_t started() const { return started_.size(); }

 private:
  std::size_t Pick(std::size_t n) { return random_() % n; }
  Connection SomeConnection() { return Pick(8) == 0 ? hand_.connection - 1 : hand_.connection; }
  Fence SomeFence() { return static_cast<Fence>(Pick(static_cast<std::size_t>(top_) + 2)); }
  v1::Grant SomeGrant() {
    const Fence fence = Pick(3) == 0 ? SomeFence() : ++top_;
    // A fence is counted by the farm: it belongs to one device for ever.
    const std::string& device = devices_[static_cast<std::size_t>(fence) % devices_.size()];
    return hand_.Grant(fence, device, Pick(10) == 0 ? 1 : epoch_,
                       Pick(2) == 0 ? v1::ON_DISCONNECT_STOP : v1::ON_DISCONNECT_CONTINUE);
  }
  v1::Welcome SomeWelcome() {
    v1::Welcome welcome = hand_.Welcome(++epoch_);
    for (const v1::HeldAttempt& held : hand_.hello.held()) {
      if (Pick(6) == 0) continue;
      v1::HeldVerdict* verdict = welcome.add_verdicts();
      verdict->set_fence(held.fence());
      verdict->set_verdict(static_cast<v1::VerdictKind>(Pick(4)));
    }
    if (Pick(10) == 0) (*welcome.mutable_refused_devices())["d2"] = "no";
    return welcome;
  }
  Fence SomePersisting() {
    if (persisting_.empty()) return SomeFence();
    return *std::next(persisting_.begin(), static_cast<long>(Pick(persisting_.size())));
  }
  Fence SomeExecuting() {
    if (executing_.empty()) return SomeFence();
    return std::next(executing_.begin(), static_cast<long>(Pick(executing_.size())))->first;
  }

  void Run(const Event& event) {
    std::map<std::string, Fence> before;
    for (const std::string& device : devices_) before[device] = hand_.session.HighWater(device);
    if (const auto* done = std::get_if<GrantPersisted>(&event)) {
      if (persisting_.erase(done->fence) > 0 && done->status.ok()) durable_.insert(done->fence);
    }
    hand_.Do(event);
    for (const std::string& device : devices_) {
      ASSERT_GE(hand_.session.HighWater(device), before[device]);
    }
    for (const Effect& effect : hand_.last) {
      if (const auto* persist = std::get_if<PersistGrant>(&effect)) {
        ASSERT_GT(persist->grant.fence(), before[persist->grant.device_id()]);
        persisting_.insert(persist->grant.fence());
      } else if (const auto* start = std::get_if<StartAttempt>(&effect)) {
        const Fence fence = start->grant.fence();
        ASSERT_TRUE(durable_.contains(fence)) << fence;
        ASSERT_TRUE(started_.insert(fence).second) << "executed twice: " << fence;
        for (const auto& [other, device] : executing_) {
          ASSERT_NE(device, start->grant.device_id()) << fence << " beside " << other;
        }
        executing_[fence] = start->grant.device_id();
      } else if (const auto* stop = std::get_if<StopAttempt>(&effect)) {
        ASSERT_TRUE(executing_.contains(stop->fence));
        ASSERT_TRUE(stopped_.insert(stop->fence).second) << "stopped twice";
      } else if (const auto* forget = std::get_if<ForgetAttempt>(&effect)) {
        ASSERT_FALSE(executing_.contains(forget->fence)) << "forgotten while it runs";
      } else if (std::holds_alternative<Exit>(effect)) {
        FAIL() << "nobody asked for an exit";
      }
    }
  }

  const std::vector<std::string> devices_ = {"d1", "d2", "d3"};
  std::mt19937 random_;
  Farmhand hand_;
  Fence top_ = 0;
  std::int64_t epoch_ = 10;
  std::set<Fence> persisting_, durable_, started_, stopped_;
  std::map<Fence, std::string> executing_;
};

TEST(SessionPropertyTest, InvariantsHoldForRandomEvents) {
  std::size_t started = 0;
  for (unsigned seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    World world(seed);
    for (int step = 0; step < 400 && !testing::Test::HasFatalFailure(); ++step) world.Step();
    started += world.started();
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_GT(started, 1000u) << "the events never got as far as executing";
}

}  // namespace
}  // namespace joulefarm::agent
