// What meters share that are asked over a serial line, on a played clock.
#include <gtest/gtest.h>

#include "agent/power/meter/serial_driver.h"
#include "agent/power/meter/tc66.h"
#include "agent/power/meter/um25c.h"
#include "tests/agent/power/meter/scripted_link.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kMs = 1'000'000;
const ScriptedLink::Report kReply = {1, 2, 3, 4};

class AnyReply : public MeterDecoder {
 public:
  absl::StatusOr<std::vector<MeterSample>> Decode(Bytes bytes) override {
    EXPECT_EQ(bytes.size(), kReply.size());
    return std::vector<MeterSample>(1);
  }
};

class PolledLineTest : public testing::Test {
 protected:
  PolledLineTest() {
    link_.on_write = [this](const ScriptedLink::Report&) {
      link_.Arrive(link_.now_ns() + 40 * kMs, kReply);
      link_.Pass(stands_still_ns_);
    };
    line_.Start(0);
  }
  MeterBatch Poll() {
    MeterBatch batch;
    const absl::Status polled = line_.Poll(link_, decoder_, batch);
    EXPECT_TRUE(polled.ok()) << polled;
    return batch;
  }

  ScriptedLink link_;
  std::int64_t stands_still_ns_ = 0;  // after the question, while the reply comes
  AnyReply decoder_;
  PolledLine line_{{0xF0}, kReply.size(), 100, link_.Clock()};
};

TEST_F(PolledLineTest, AReplyHasTheTimesOfItsRoundTrip) {
  const MeterBatch batch = Poll();
  EXPECT_EQ(batch.samples.size(), 1U);
  EXPECT_EQ(batch.arrived_ns - batch.asked_ns.value_or(0), 40 * kMs);
  EXPECT_EQ(batch.lost, 0);
}

// The middle of such a round trip says too little.
TEST_F(PolledLineTest, AReplyReadTooLateIsRefusedAndTheNextIsNot) {
  stands_still_ns_ = PolledLine::kLongestRoundTripNs + kMs;
  const MeterBatch late = Poll();
  EXPECT_TRUE(late.samples.empty());
  EXPECT_EQ(late.lost, 1);
  EXPECT_EQ(late.rejected, 1);
  EXPECT_EQ(late.refusal, "a round trip took 251 ms, more than 250 ms");
  stands_still_ns_ = PolledLine::kLongestRoundTripNs;
  EXPECT_EQ(Poll().samples.size(), 1U);
}

TEST_F(PolledLineTest, ModelsStateHalfOfTheLongestRoundTrip) {
  for (const MeterModel& model : {Tc66Model(), Um25cModel()})
    EXPECT_EQ(model.stamp_bound_ns, PolledLine::kLongestRoundTripNs / 2) << model.name;
}

}  // namespace
}  // namespace joulefarm::agent
