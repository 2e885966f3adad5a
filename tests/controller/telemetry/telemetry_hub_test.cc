// The hub in time that stands still but where a test moves it.
#include "controller/telemetry/telemetry_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulefarm::controller {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kSecond = 1'000'000'000;

v1::Telemetry OfAttempt(v1::Telemetry news, Fence fence) {
  news.set_fence(fence);
  return news;
}

class Hub : public testing::Test {
 protected:
  static v1::Telemetry News(const std::string& device, double watts) {
    v1::Telemetry telemetry;
    telemetry.set_device_id(device);
    telemetry.set_power_w(watts);
    return telemetry;
  }
  TelemetryHub::Listener Listener() {
    return [this](const v1::Telemetry& telemetry) {
      heard_.push_back(telemetry.device_id() + " " +
                       std::to_string(static_cast<int>(telemetry.power_w())));
    };
  }

  std::int64_t now_ns_ = 100 * kSecond;
  bool busy_ = false;
  std::vector<std::string> asked_;  // "session device"
  std::vector<v1::WatchDevice> questions_;
  std::vector<std::string> heard_;
  TelemetryHub hub_{[this] { return now_ns_; },
                    [this](SessionId session, const v1::WatchDevice& watch) {
                      if (busy_) return false;
                      asked_.push_back(std::to_string(session) + " " + watch.device_id());
                      questions_.push_back(watch);
                      return true;
                    }};
};

TEST_F(Hub, AsksNobodyWhileNobodyLooks) {
  hub_.Opened(1, {"a", "b"});
  hub_.Received(1, News("a", 5));
  EXPECT_FALSE(hub_.Extend());
  now_ns_ += 3600 * kSecond;
  EXPECT_FALSE(hub_.Extend());
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(Hub, ALookAsksForSomeSecondsAndALaterLookForMore) {
  hub_.Opened(1, {"a"});
  EXPECT_FALSE(hub_.Look("a").has_value());
  ASSERT_THAT(asked_, ElementsAre("1 a"));
  EXPECT_EQ(questions_[0].period_ns(), kSecond);
  EXPECT_EQ(questions_[0].for_ns(), 10 * kSecond);
  hub_.Received(1, News("a", 5));
  ASSERT_TRUE(hub_.Look("a").has_value());
  EXPECT_EQ(hub_.Look("a")->power_w(), 5);
  EXPECT_EQ(asked_.size(), 1u);  // one question lasts
  now_ns_ += 5 * kSecond;
  hub_.Look("a");
  EXPECT_THAT(asked_, ElementsAre("1 a", "1 a"));
}

TEST_F(Hub, OldNewsIsNotShown) {
  hub_.Opened(1, {"a"});
  hub_.Received(1, News("a", 5));
  now_ns_ += 3 * kSecond;
  EXPECT_TRUE(hub_.Look("a").has_value());
  now_ns_ += kSecond;
  EXPECT_FALSE(hub_.Look("a").has_value());
  hub_.Subscribe({}, Listener());
  EXPECT_THAT(heard_, IsEmpty());
}

TEST_F(Hub, ABusyStreamIsAskedAgainAtTheNextLook) {
  hub_.Opened(1, {"a"});
  busy_ = true;
  hub_.Look("a");
  busy_ = false;
  hub_.Look("a");
  EXPECT_THAT(asked_, ElementsAre("1 a"));
}

TEST_F(Hub, UnknownAndUnreachableDevicesHaveNoTelemetry) {
  EXPECT_FALSE(hub_.Look("nobody").has_value());
  hub_.Opened(1, {"a"});
  hub_.Received(1, News("a", 5));
  hub_.Gone(1);
  EXPECT_FALSE(hub_.Look("a").has_value());
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(Hub, OnlyTheSessionOfADeviceSpeaksForIt) {
  hub_.Opened(1, {"a"});
  hub_.Opened(2, {"b"});
  hub_.Received(2, News("a", 99));
  EXPECT_FALSE(hub_.Look("a").has_value());
  // A newer session took the device over; the end of the older one changes nothing.
  hub_.Opened(3, {"a"});
  hub_.Gone(1);
  hub_.Received(3, News("a", 7));
  ASSERT_TRUE(hub_.Look("a").has_value());
  EXPECT_EQ(hub_.Look("a")->power_w(), 7);
}

TEST_F(Hub, TheMeterOfAnotherAgentShowsThePowerOfItsAttempt) {
  hub_.Opened(1, {"a"});
  hub_.Opened(2, {"lab"});
  hub_.Subscribe({"a"}, Listener());
  asked_.clear();
  hub_.Helps(2, "a", 7);
  EXPECT_THAT(asked_, ElementsAre("1 a", "2 a"));
  hub_.Received(2, OfAttempt(News("a", 12), 7));
  EXPECT_THAT(heard_, IsEmpty()) << "with the device's own news";
  v1::Telemetry own = OfAttempt(News("a", 20), 7);
  own.set_provenance(v1::PROVENANCE_ESTIMATED);
  own.set_cpu_share(0.5);
  hub_.Received(1, own);
  EXPECT_THAT(heard_, ElementsAre("a 12"));
  ASSERT_TRUE(hub_.Look("a").has_value());
  EXPECT_EQ(hub_.Look("a")->cpu_share(), 0.5);
  EXPECT_EQ(hub_.Look("a")->provenance(), v1::PROVENANCE_UNSPECIFIED) << "that of the helper";
  // Not of another attempt, nor when it is old, nor from anybody else.
  hub_.Received(1, OfAttempt(News("a", 21), 8));
  hub_.Received(3, OfAttempt(News("a", 99), 7));
  hub_.Received(2, OfAttempt(News("a", 98), 6));
  now_ns_ += 4 * kSecond;
  hub_.Received(1, OfAttempt(News("a", 22), 7));
  hub_.Received(2, OfAttempt(News("a", 13), 7));
  hub_.Released(2, 7);
  hub_.Received(1, OfAttempt(News("a", 23), 7));
  EXPECT_THAT(heard_, ElementsAre("a 12", "a 21", "a 22", "a 23"));
}

TEST_F(Hub, AMeterOnAnotherAgentIsShownAfterEitherOfThemIsBack) {
  hub_.Opened(1, {"a"});
  hub_.Opened(2, {"lab"});
  hub_.Subscribe({"a"}, Listener());
  hub_.Helps(2, "a", 7);
  asked_.clear();
  // The device's agent.
  hub_.Gone(1);
  EXPECT_FALSE(hub_.Look("a").has_value());
  hub_.Opened(3, {"a"});
  EXPECT_THAT(asked_, ElementsAre("3 a", "2 a"));
  hub_.Received(2, OfAttempt(News("a", 12), 7));
  hub_.Received(3, OfAttempt(News("a", 20), 7));
  // The helper's.
  hub_.Gone(2);
  hub_.Received(3, OfAttempt(News("a", 21), 7));
  asked_.clear();
  hub_.Helps(4, "a", 7);
  EXPECT_THAT(asked_, ElementsAre("3 a", "4 a"));
  hub_.Received(4, OfAttempt(News("a", 13), 7));
  hub_.Received(3, OfAttempt(News("a", 22), 7));
  EXPECT_THAT(heard_, ElementsAre("a 12", "a 21", "a 13"));
  // The controller: the helper may be there before the device.
  hub_.Gone(3);
  hub_.Gone(4);
  hub_.Helps(5, "a", 7);
  hub_.Opened(6, {"a"});
  hub_.Received(5, OfAttempt(News("a", 14), 7));
  hub_.Received(6, OfAttempt(News("a", 23), 7));
  EXPECT_EQ(heard_.back(), "a 14");
}

TEST_F(Hub, SubscribersHearWhatTheyWantFromTheNewestOn) {
  hub_.Opened(1, {"a", "b"});
  hub_.Received(1, News("a", 1));
  const auto one = hub_.Subscribe({"a"}, Listener());
  EXPECT_THAT(asked_, ElementsAre("1 a"));
  EXPECT_THAT(heard_, ElementsAre("a 1"));
  hub_.Received(1, News("b", 2));
  hub_.Received(1, News("a", 3));
  EXPECT_THAT(heard_, ElementsAre("a 1", "a 3"));
  const auto all = hub_.Subscribe({}, Listener());
  EXPECT_THAT(asked_, ElementsAre("1 a", "1 b"));
  EXPECT_THAT(heard_, ElementsAre("a 1", "a 3", "a 3", "b 2"));
  hub_.Unsubscribe(one);
  hub_.Received(1, News("a", 4));
  EXPECT_EQ(heard_.size(), 5u);
  EXPECT_TRUE(hub_.Extend());
  hub_.Unsubscribe(all);
  EXPECT_FALSE(hub_.Extend());
}

TEST_F(Hub, AWatchIsExtendedAsLongAsSomebodySubscribes) {
  hub_.Opened(1, {"a"});
  const auto subscription = hub_.Subscribe({}, Listener());
  for (int i = 0; i < 30; ++i) {
    now_ns_ += kSecond;
    hub_.Extend();
  }
  EXPECT_EQ(asked_.size(), 7u);  // at once and every five seconds
  hub_.Unsubscribe(subscription);
  now_ns_ += 60 * kSecond;
  hub_.Extend();
  EXPECT_EQ(asked_.size(), 7u);
}

TEST_F(Hub, ADeviceThatComesBackIsAskedAtOnce) {
  hub_.Opened(1, {"a"});
  hub_.Subscribe({}, Listener());
  hub_.Gone(1);
  hub_.Extend();
  hub_.Opened(2, {"a"});
  EXPECT_THAT(asked_, ElementsAre("1 a", "2 a"));
}

}  // namespace
}  // namespace joulefarm::controller
