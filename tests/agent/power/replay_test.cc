#include "agent/power/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;

MATCHER_P2(Reads, t_ns, watts, "") {
  return arg.channel == 0 && arg.t_ns == t_ns && arg.raw == watts * 1'000'000;
}

class ReplayPowerTest : public testing::Test {
 protected:
  absl::Status Open(const std::string& text, bool loop = true) {
    host_.Write("trace", text);
    absl::StatusOr<std::unique_ptr<ReplayPower>> source = ReplayPower::Open(
        {.file = host_.root() / "trace", .loop = loop}, [this] { return now_ns_; });
    if (!source.ok()) return source.status();
    source_ = *std::move(source);
    return source_->Start();
  }
  std::vector<PowerReading> PollAt(std::int64_t t_ns) {
    now_ns_ = t_ns;
    std::vector<PowerReading> readings;
    EXPECT_TRUE(source_->Poll(readings, lost_).ok());
    return readings;
  }
  std::string Refused(const std::string& text) {
    const absl::Status opened = Open(text);
    EXPECT_TRUE(absl::IsInvalidArgument(opened)) << opened;
    return std::string(opened.message());
  }

  HostTree host_;
  std::int64_t now_ns_ = kSecond;
  std::int64_t lost_ = 0;
  std::unique_ptr<ReplayPower> source_;
};

constexpr char kCsv[] =
    "# from a lab\nt_s,phase,power_w\n100.0,idle,1\n100.1,idle,2\n100.3,busy,3\n";

TEST_F(ReplayPowerTest, OnItsOwnClockFromNowOn) {
  ASSERT_TRUE(Open(kCsv, false).ok());
  EXPECT_THAT(PollAt(kSecond), ElementsAre(Reads(kSecond, 1)));
  EXPECT_THAT(PollAt(kSecond + 99 * kMs), IsEmpty());
  EXPECT_THAT(PollAt(9 * kSecond),
              ElementsAre(Reads(kSecond + 100 * kMs, 2), Reads(kSecond + 300 * kMs, 3)));
  EXPECT_THAT(PollAt(19 * kSecond), IsEmpty()) << "it is over";
  EXPECT_EQ(lost_, 0);
}

TEST_F(ReplayPowerTest, OverAndOver) {
  ASSERT_TRUE(Open(kCsv).ok());
  // 300 ms and the mean interval of 150 ms.
  EXPECT_THAT(
      PollAt(kSecond + 550 * kMs),
      ElementsAre(Reads(kSecond, 1), Reads(kSecond + 100 * kMs, 2), Reads(kSecond + 300 * kMs, 3),
                  Reads(kSecond + 450 * kMs, 1), Reads(kSecond + 550 * kMs, 2)));
}

TEST_F(ReplayPowerTest, SaysWhatItIs) {
  ASSERT_TRUE(Open(kCsv).ok());
  const v1::ChannelInfo& channel = source_->channels().at(0);
  EXPECT_EQ(channel.name(), "replay");
  EXPECT_EQ(channel.provenance(), v1::PROVENANCE_REPLAYED);
  EXPECT_NEAR(channel.nominal_hz(), 1 / 0.15, 1e-9);
  EXPECT_FALSE(channel.has_gain_u()) << "nobody said how good it was";
  EXPECT_THAT(channel.description(), HasSubstr("replayed, nothing is measured: 3 points of trace"));
}

TEST_F(ReplayPowerTest, WhatDecodePrints) {
  ASSERT_TRUE(
      Open("{\"voltage_v\":5.0,\"current_a\":0.2,\"power_w\":1.0,\"t_ns\":1611327914313000001}\n"
           "{\"error\":\"a frame\"}\n{\"lost\":2}\n"
           "{\"power_w\":2.0,\"t_ns\":1611327914313000001}\n")
          .code() == absl::StatusCode::kInvalidArgument)
      << "time stands still";
  ASSERT_TRUE(Open("{\"power_w\":1.0,\"t_ns\":1611327914313000001}\n"
                   "{\"error\":\"a frame\"}\n"
                   "{\"power_w\":2.0,\"t_ns\":1611327914313200002}\n")
                  .ok());
  EXPECT_THAT(PollAt(kSecond + 200'001),
              ElementsAre(Reads(kSecond, 1), Reads(kSecond + 200'001, 2)))
      << "to the nanosecond";
}

TEST_F(ReplayPowerTest, WhatLiesTooFarBackIsLost) {
  ASSERT_TRUE(Open("t_s,power_w\n0,1\n1,2\n").ok());
  // One point a second since second 1; those of the last ten are there.
  EXPECT_THAT(PollAt(101 * kSecond), SizeIs(11));
  EXPECT_EQ(lost_, 90);
  EXPECT_THAT(PollAt(1'000'101 * kSecond), SizeIs(11)) << "after a long sleep, at once";
  EXPECT_EQ(lost_, 90 + 1'000'000 - 11);
}

TEST_F(ReplayPowerTest, AFileThatIsNoTraceIsRefusedByItsLine) {
  EXPECT_THAT(Refused("t_s,watts\n1,2\n"), HasSubstr("trace:1: the head has no columns t_s and"));
  EXPECT_THAT(Refused("t_s,power_w\n1,2\n2,x\n"), HasSubstr("trace:3: \"x\" is no number"));
  EXPECT_THAT(Refused("t_s,power_w\n1,2\n2\n"),
              HasSubstr("trace:3: 1 fields where the head has 2"));
  EXPECT_THAT(Refused("t_s,power_w\n1,2\n1,3\n"), HasSubstr("trace:3: its time is not later"));
  EXPECT_THAT(Refused("t_s,power_w\n1,2\n,3\n"), HasSubstr("trace:3: a power without its time"));
  EXPECT_THAT(Refused("t_s,power_w\n1,2\n2,nan\n"), HasSubstr("out of range"));
  EXPECT_THAT(Refused("t_s,power_w\n1,2\n1e300,2\n"), HasSubstr("a time out of range"));
  EXPECT_THAT(Refused("t_s,power_w\n0,2\n0.000001,2\n"), HasSubstr("more than 100000 points"));
  EXPECT_THAT(Refused("t_s,power_w\n1,2\n2,\n"), HasSubstr("has 1 points")) << "a gap";
  EXPECT_THAT(Refused("{\"t_s\":1,\"power_w\":1}\n{"), HasSubstr("trace:2: no JSON object"));
  EXPECT_THAT(Refused("{\"t_s\":1,\"power_w\":1}\n{\"t_ns\":5,\"power_w\":1}"),
              HasSubstr("another kind"));
  EXPECT_THAT(Refused(""), HasSubstr("has 0 points"));
  EXPECT_TRUE(absl::IsNotFound(ReplayPower::Open({.file = host_.root() / "none"}).status()));
}

}  // namespace
}  // namespace joulefarm::agent
