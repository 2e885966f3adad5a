#include "agent/power/meter/um25c.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "tests/agent/power/meter/mutation.h"
#include "tests/agent/power/meter/serial_meter.h"
#include "tests/agent/power/meter/vectors/um25c.h"

namespace joulefarm::agent {
namespace {

using namespace um25c;  // NOLINT: the frames this is about

using ::testing::DoubleEq;
using ::testing::HasSubstr;

TEST(Um25cDecoderTest, ThePublishedReply) {
  ASSERT_EQ(Published("09c9").size(), 130U);
  const std::vector<MeterSample> samples = DecodeOne(Um25cModel(), Published("09c9"));
  ASSERT_EQ(samples.size(), 1U);
  EXPECT_THAT(*samples[0].voltage_v, DoubleEq(0.510));
  EXPECT_THAT(*samples[0].current_a, DoubleEq(0.0328));
  EXPECT_THAT(*samples[0].power_w, DoubleEq(1.672));
  EXPECT_EQ(samples[0].t_ns, std::nullopt);
  EXPECT_THAT(More(samples[0], "load_ohm"), DoubleEq(9999.9));
  EXPECT_THAT(More(samples[0], "d_plus_v"), DoubleEq(0.01));
  EXPECT_THAT(More(samples[0], "d_minus_v"), DoubleEq(0.02));
  EXPECT_EQ(More(samples[0], "charge_mode"), 7) << "DCP 1.5 A";
  EXPECT_EQ(More(samples[0], "temperature_c"), 20);
  EXPECT_EQ(More(samples[0], "temperature_f"), 68);
  EXPECT_EQ(More(samples[0], "group"), 8);
  EXPECT_EQ(More(samples[0], "group_mah"), 0) << "of the group that is selected";
  EXPECT_EQ(More(samples[0], "group0_mah"), 11);
  EXPECT_EQ(More(samples[0], "group0_mwh"), 56);
  EXPECT_EQ(More(samples[0], "record_mah"), 16);
  EXPECT_EQ(More(samples[0], "record_mwh"), 256);
  EXPECT_THAT(More(samples[0], "record_threshold_a"), DoubleEq(0.10));
  EXPECT_EQ(More(samples[0], "record_s"), 240);
  EXPECT_EQ(More(samples[0], "recording"), 0);
  EXPECT_EQ(More(samples[0], "screen_timeout_min"), 2);
  EXPECT_EQ(More(samples[0], "brightness"), 4);
  EXPECT_EQ(More(samples[0], "screen"), 2);
}

TEST(Um25cDecoderTest, EachModelHasItsScale) {
  for (const char* model : {"0963", "0d4c"}) {
    const std::vector<MeterSample> samples = DecodeOne(Um25cModel(), Published(model));
    ASSERT_EQ(samples.size(), 1U) << model;
    EXPECT_THAT(*samples[0].voltage_v, DoubleEq(5.10)) << model;
    EXPECT_THAT(*samples[0].current_a, DoubleEq(0.328)) << model;
    EXPECT_THAT(*samples[0].power_w, DoubleEq(1.672)) << model;
  }
}

TEST(Um25cDecoderTest, AnUnknownModelHasNoValues) {
  const absl::Status unknown = Um25cModel().make_decoder()->Decode(Published("0a01")).status();
  EXPECT_TRUE(absl::IsDataLoss(unknown));
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("model 0a01"));
}

// The frame was edited by its publishers, so a wrong end is said and not refused.
TEST(Um25cDecoderTest, TheEndIsReportedNotReliedOn) {
  const auto end = [](Frame frame) {
    const std::vector<MeterSample> samples = DecodeOne(Um25cModel(), frame);
    return samples.empty() ? -1 : More(samples[0], "end_as_documented");
  };
  EXPECT_EQ(end(Published("09c9")), 0);
  Frame fixed = Published("09c9");
  fixed[128] = 0xFF;
  fixed[129] = 0xF1;
  EXPECT_EQ(end(fixed), 1);
  EXPECT_EQ(end(Published("0d4c")), 0) << "8c stands there, the rule says 0c";
  Frame xored = Published("0d4c");
  xored[129] = 0x0C;
  EXPECT_EQ(end(xored), 1);
}

TEST(Um25cDecoderTest, ImpossibleValuesAreRefused) {
  const auto refusal = [](const Frame& frame) {
    return std::string(Um25cModel().make_decoder()->Decode(frame).status().message());
  };
  EXPECT_THAT(refusal(With(2, 0xFF)), HasSubstr("65.534 V"));
  EXPECT_THAT(refusal(With(4, 0xFF)), HasSubstr(" A: beyond"));
  EXPECT_THAT(refusal(With(6, 0x10)), HasSubstr(" W: beyond"));
  EXPECT_THAT(refusal(With(15, 10)), HasSubstr("group 10"));
}

TEST(Um25cDecoderTest, StandsDamage) {
  ExpectTruncationsRefused(Case());
  ExpectSplitsChangeNothing(Case());
  ExpectOrdersKeepValues(Case());
}

class Meter {
 public:
  explicit Meter(std::vector<PeerReply> replies) : replies_(std::move(replies)) {}
  PeerReply operator()(const std::vector<std::uint8_t>& asked) {
    if (asked.back() == 0xF0 && next_ < replies_.size()) return replies_[next_++];
    return {};
  }

 private:
  const std::vector<PeerReply> replies_;
  std::size_t next_ = 0;
};

TEST(Um25cDriverTest, AsksAndReads) {
  PtyPeer peer(Meter({{Published("09c9")}, {With(3, 0x80)}}));
  Conversation talk(Um25cModel(), peer);
  ASSERT_TRUE(talk.Start().ok());
  ASSERT_TRUE(talk.StepUntil(2).ok());
  EXPECT_THAT(*talk.seen.samples[0].voltage_v, DoubleEq(0.510));
  EXPECT_THAT(*talk.seen.samples[1].voltage_v, DoubleEq(0.384));
  EXPECT_EQ(talk.seen.rejected, 0);
}

// There is no check sum: a reply of another length is the only sign that bytes are missing.
TEST(Um25cDriverTest, RepliesOfAnotherLengthAreRefused) {
  Frame shorter = Published("09c9");
  shorter.erase(shorter.begin() + 2);
  const Frame longer = Joined({Published("09c9"), {0}});
  PtyPeer peer(Meter({{shorter}, {longer}, {Published("0a01")}, {With(3, 0x80)}}));
  Conversation talk(Um25cModel(), peer);
  ASSERT_TRUE(talk.Start().ok());
  ASSERT_TRUE(talk.StepUntil(1).ok());
  EXPECT_THAT(*talk.seen.samples[0].voltage_v, DoubleEq(0.384));
  EXPECT_GE(talk.seen.rejected, 3) << talk.seen.refusal;
}

TEST(Um25cDriverTest, AStallIsAnEmptyStepAndAHangUpAnError) {
  PtyPeer silent(Meter({}));
  Conversation stalled(Um25cModel(), silent);
  ASSERT_TRUE(stalled.Start().ok());
  MeterBatch batch;
  EXPECT_TRUE(stalled.StepOnce(batch).ok());
  EXPECT_TRUE(batch.samples.empty());
  EXPECT_EQ(batch.rejected, 0);
  Frame half = Published("09c9");
  half.resize(50);
  PtyPeer gone(Meter({{half, true}}));
  Conversation unplugged(Um25cModel(), gone);
  ASSERT_TRUE(unplugged.Start().ok());
  const absl::Status end = unplugged.StepUntil(1);
  EXPECT_TRUE(absl::IsUnavailable(end)) << end;
}

}  // namespace
}  // namespace joulefarm::agent
