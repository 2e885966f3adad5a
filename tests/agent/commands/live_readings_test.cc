#include "agent/commands/live_readings.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;

// A clock that only waiting moves.
struct PlayedTime {
  std::int64_t now_ns = 100 * kSecond;
  LiveTime Time() {
    return {[this] { return now_ns; }, [this](std::int64_t ns) { now_ns += ns; }};
  }
};

// Samples every `period_ns` by itself, until `last_ns`; each is worth 1 more than the one before.
class Meter : public PowerSource {
 public:
  Meter(const PlayedTime& time, double rate_hz, std::int64_t period_ns,
        std::optional<std::int64_t> last_ns = {})
      : time_(time), period_ns_(period_ns), last_ns_(last_ns), next_ns_(time.now_ns) {
    v1::ChannelInfo& power = channels_.emplace_back();
    power.set_name("m");
    power.set_nominal_hz(rate_hz);
    channels_.emplace_back().set_name("m.voltage");  // says nothing
  }
  const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
  absl::Status Start() override { return absl::OkStatus(); }
  absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t& /*lost*/) override {
    for (; next_ns_ <= time_.now_ns; next_ns_ += period_ns_) {
      if (!last_ns_ || next_ns_ <= *last_ns_) readings.push_back({0, next_ns_, ++value_});
    }
    return absl::OkStatus();
  }
  bool buffered() const override { return true; }

 private:
  const PlayedTime& time_;
  const std::int64_t period_ns_;
  const std::optional<std::int64_t> last_ns_;
  std::int64_t next_ns_;
  std::int64_t value_ = 0;
  std::vector<v1::ChannelInfo> channels_;
};

Sources Of(std::unique_ptr<PowerSource> source) {
  Sources sources;
  sources.push_back(std::move(source));
  return sources;
}

// Its sample of before was used up by the first look.
TEST(LiveReadingsTest, AMeterOfOneHertzIsWaitedFor) {
  PlayedTime time;
  const std::int64_t begin_ns = time.now_ns;
  const Sources sources = Of(std::make_unique<Meter>(time, 1, 1'020 * kMs));
  EXPECT_TRUE(Look(sources).contains("m"));
  const LiveReadings live = LookFor(sources, kSecond, time.Time());
  ASSERT_TRUE(live.contains("m"));
  EXPECT_EQ(live.at("m").raw, 2);
  EXPECT_LE(time.now_ns - begin_ns, 1'100 * kMs) << "no longer than needed";
}

TEST(LiveReadingsTest, AFastOneIsAMeanOverTheLeastTime) {
  PlayedTime time;
  const std::int64_t begin_ns = time.now_ns;
  const Sources sources = Of(std::make_unique<Meter>(time, 10, 100 * kMs));
  Look(sources);
  const LiveReadings live = LookFor(sources, kSecond, time.Time());
  ASSERT_TRUE(live.contains("m"));
  EXPECT_EQ(live.at("m").raw, 7) << "the mean of 2 to 11, rounded";
  EXPECT_EQ(time.now_ns - begin_ns, kSecond);
}

TEST(LiveReadingsTest, OneThatFellSilentIsWaitedForForTwoAndAHalfPeriods) {
  PlayedTime time;
  const std::int64_t begin_ns = time.now_ns;
  const Sources sources = Of(std::make_unique<Meter>(time, 0.5, 2 * kSecond, begin_ns));
  EXPECT_TRUE(Look(sources).contains("m"));
  EXPECT_FALSE(LookFor(sources, kSecond, time.Time()).contains("m"));
  EXPECT_EQ(time.now_ns - begin_ns, 5 * kSecond);
}

}  // namespace
}  // namespace joulefarm::agent
