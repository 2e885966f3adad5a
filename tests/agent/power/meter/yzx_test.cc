#include "agent/power/meter/yzx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/power/meter/mutation.h"
#include "tests/agent/power/meter/serial_meter.h"
#include "tests/agent/power/meter/vectors/yzx.h"

namespace joulefarm::agent {
namespace {

using namespace yzx;  // NOLINT: the frames this is about

using ::testing::DoubleEq;
using ::testing::HasSubstr;

TEST(YzxDecoderTest, TheDocumentedFrame) {
  const std::vector<MeterSample> samples = DecodeOne(YzxModel(), FromHex(kFrame));
  ASSERT_EQ(samples.size(), 1U);
  EXPECT_THAT(*samples[0].voltage_v, DoubleEq(5.1234));
  EXPECT_THAT(*samples[0].current_a, DoubleEq(1.25));
  EXPECT_THAT(*samples[0].power_w, DoubleEq(5.1234 * 1.25));
  EXPECT_THAT(More(samples[0], "charge_ah"), DoubleEq(0.3456));
  EXPECT_THAT(More(samples[0], "energy_wh"), DoubleEq(1.7));
  EXPECT_THAT(More(samples[0], "load_s"), DoubleEq(900));
  EXPECT_EQ(samples[0].t_ns, std::nullopt) << "its clock stands still without load";
}

TEST(YzxDecoderTest, RefusesByName) {
  const auto refusal = [](const Frame& frame) {
    return std::string(YzxModel().make_decoder()->Decode(frame).status().message());
  };
  Frame wrong = FromHex(kFrame);
  wrong[9] ^= 1;
  EXPECT_THAT(refusal(wrong), HasSubstr("check sum"));
  EXPECT_THAT(refusal({0xAB, 0x00, 0x07}), HasSubstr("outside of a frame"));
  EXPECT_THAT(refusal(With(6, 0x10)), HasSubstr(" V: beyond"));
}

TEST(YzxDecoderTest, StandsDamage) {
  ExpectTruncationsRefused(Case());
  ExpectSplitsChangeNothing(Case());
  ExpectFlipsFound(Case());
  ExpectOrdersKeepValues(Case());
}

TEST(YzxDriverTest, Listens) {
  // It sends by itself; here a byte of the test's sets it off.
  PtyPeer peer([](const std::vector<std::uint8_t>& asked) {
    if (asked.back() == 'x') return PeerReply{{}, true};
    return PeerReply{Joined({{1, 2}, FromHex(kFrame), With(4, 0x10)})};
  });
  absl::StatusOr<std::unique_ptr<Link>> link = OpenSerial(peer.path(), YzxModel().baud);
  ASSERT_TRUE(link.ok()) << link.status();
  const auto driver = YzxModel().make_driver();
  ASSERT_TRUE(driver->Start(**link, 0).ok());
  MeterBatch batch;
  EXPECT_TRUE(driver->Step(**link, batch).ok());
  EXPECT_TRUE(batch.samples.empty()) << "nothing yet is no error";
  ASSERT_TRUE((*link)->Write(std::vector<std::uint8_t>{'s'}, 1000).ok());
  std::size_t samples = 0;
  std::int64_t rejected = 0;
  for (int i = 0; i < 100 && samples < 2; ++i) {
    ASSERT_TRUE(driver->Step(**link, batch).ok());
    samples += batch.samples.size();
    rejected += batch.rejected;
  }
  EXPECT_EQ(samples, 2U);
  EXPECT_EQ(rejected, 1) << "the bytes before the first frame";
  ASSERT_TRUE((*link)->Write(std::vector<std::uint8_t>{'x'}, 1000).ok());
  absl::Status end;
  for (int i = 0; i < 100 && end.ok(); ++i) end = driver->Step(**link, batch);
  EXPECT_TRUE(absl::IsUnavailable(end)) << end;
}

}  // namespace
}  // namespace joulefarm::agent
