#include "agent/power/polled_power.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "agent/power/found_power.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kUs = 1'000;
constexpr std::int64_t kMs = 1'000 * kUs;
constexpr std::int64_t kSecond = 1'000 * kMs;

MATCHER_P3(Reads, channel, t_ns, raw, "") {
  return arg.channel == channel && arg.t_ns == t_ns && arg.raw == raw;
}

// Counters on a clock of which reading takes as long as told.
class PolledPowerTest : public testing::Test {
 protected:
  int Counter(const std::string& name, const std::int64_t* raw, std::int64_t wrap = 0) {
    v1::ChannelInfo channel =
        PowerChannel(name, v1::QUANTITY_ENERGY_COUNTER_J, 1e-6, 50, v1::SCOPE_PACKAGE, "");
    if (wrap > 0) channel.set_wrap_raw(wrap);
    return source_.Add(std::move(channel), [this, raw]() -> absl::StatusOr<std::int64_t> {
      std::int64_t took_ns = 20 * kUs;
      if (!reads_take_.empty()) {
        took_ns = reads_take_.front();
        reads_take_.pop_front();
      }
      now_ns_ += took_ns;
      return *raw;
    });
  }
  void Sum(std::vector<int> parts) {
    source_.AddSum(
        PowerChannel("sum", v1::QUANTITY_ENERGY_COUNTER_J, 1e-6, 50, v1::SCOPE_PACKAGE, ""),
        std::move(parts));
  }
  std::vector<PowerReading> Poll(std::int64_t at_ns) {
    now_ns_ = at_ns;
    std::vector<PowerReading> readings;
    lost_ = 0;
    status_ = source_.Poll(readings, lost_);
    return readings;
  }

  std::int64_t now_ns_ = 0;
  std::deque<std::int64_t> reads_take_;
  std::int64_t lost_ = 0;
  absl::Status status_;
  PolledPower source_{"test", [this] { return now_ns_; }};
};

TEST_F(PolledPowerTest, ACountersStampIsLaterThanWhatItShows) {
  const std::int64_t raw = 7;
  Counter("package-0", &raw);
  EXPECT_THAT(Poll(kSecond), ElementsAre(Reads(0, kSecond + 20 * kUs, 7)));
  EXPECT_EQ(lost_, 0);
}

TEST_F(PolledPowerTest, APowersStampIsThatBeforeIt) {
  source_.Add(PowerChannel("rail", v1::QUANTITY_POWER_W, 1, 20, v1::SCOPE_BOARD_RAIL, ""),
              [this]() -> absl::StatusOr<std::int64_t> {
                now_ns_ += 5 * kMs;
                return 3;
              });
  EXPECT_THAT(Poll(kSecond), ElementsAre(Reads(0, kSecond, 3)));
}

TEST_F(PolledPowerTest, AReadingThatTookLongIsMadeOnceMore) {
  const std::int64_t raw = 7;
  Counter("package-0", &raw);
  reads_take_ = {3 * kMs, 30 * kUs};
  EXPECT_THAT(Poll(kSecond), ElementsAre(Reads(0, kSecond + 3 * kMs + 30 * kUs, 7)));
  EXPECT_EQ(lost_, 0);
  reads_take_ = {3 * kMs, 4 * kMs};
  EXPECT_THAT(Poll(2 * kSecond), IsEmpty());
  EXPECT_EQ(lost_, 1);
  EXPECT_THAT(std::string(status_.message()), HasSubstr("reading package-0 took 4000000 ns"));
}

TEST_F(PolledPowerTest, ASumHasTheStampOfItsLastPartUnlessThatIsTooLate) {
  const std::int64_t one = 5;
  const std::int64_t two = 6;
  Sum({Counter("one", &one), Counter("two", &two)});
  reads_take_ = {10 * kUs, 30 * kUs};
  EXPECT_THAT(Poll(kSecond),
              ElementsAre(Reads(0, kSecond + 10 * kUs, 5), Reads(1, kSecond + 40 * kUs, 6),
                          Reads(2, kSecond + 40 * kUs, 0)));
  reads_take_ = {10 * kUs, 3 * kMs, 10 * kUs};
  EXPECT_EQ(Poll(3 * kSecond).size(), 2U) << "its parts are more than 2 ms apart";
  EXPECT_EQ(lost_, 1);
  EXPECT_TRUE(status_.ok()) << status_;
}

TEST_F(PolledPowerTest, ASumLosesWhatMayHaveWrappedUnseen) {
  std::int64_t raw = 0;
  Sum({Counter("one", &raw, 100'000'000)});
  Poll(0);
  raw = 10'000'000;  // 10 W for a second
  EXPECT_EQ(Poll(kSecond).size(), 2U);
  raw = 59'000'000;  // within half its range
  EXPECT_EQ(Poll(kSecond + 49 * kSecond / 10).size(), 2U);
  EXPECT_EQ(lost_, 0);
  raw = 60'000'000;  // or, as nobody looked, a whole round more
  const std::vector<PowerReading> readings = Poll(20 * kSecond);
  EXPECT_THAT(readings, ElementsAre(testing::Field(&PowerReading::channel, 0)));
  EXPECT_EQ(lost_, 1);
  raw = 61'000'000;
  EXPECT_EQ(Poll(21 * kSecond).size(), 2U) << "it counts on from there";
}

}  // namespace
}  // namespace joulefarm::agent
