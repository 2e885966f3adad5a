#include "agent/power/meter/fl001.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/power/meter/mutation.h"
#include "tests/agent/power/meter/scripted_link.h"
#include "tests/agent/power/meter/vectors/fl001.h"

namespace joulefarm::agent {
namespace {

using namespace fl001;  // NOLINT: the frames this is about

using testing::ElementsAre;
using testing::Pair;

constexpr std::int64_t kMs = 1'000'000;

TEST(Fl001DecoderTest, PublishedVector) {
  Fl001Decoder decoder;
  const auto samples = decoder.Decode(Vector());
  ASSERT_TRUE(samples.ok()) << samples.status();
  ASSERT_EQ(samples->size(), 1U);
  const MeterSample& sample = samples->front();
  EXPECT_EQ(sample.voltage_v, double{5.1F});
  EXPECT_EQ(sample.current_a, 0.5);
  EXPECT_EQ(sample.power_w, double{2.55F});
  EXPECT_THAT(sample.more,
              ElementsAre(Pair("d_plus_v", double{2.7F}), Pair("d_minus_v", double{2.7F}),
                          Pair("temperature_c", 30.5), Pair("temperature2_c", 30.5)));
}

TEST(Fl001DecoderTest, Damage) {
  ExpectTruncationsRefused(Case());
  ExpectFlipsFound(Case());
  ExpectOrdersKeepValues(Case());
}

TEST(Fl001DecoderTest, NoNumbersAreRefused) {
  Fl001Decoder decoder;
  for (const std::size_t at : {3U, 7U, 11U}) {
    Frame frame = Vector();
    frame[at] = 0x7F;
    frame[at + 1] = 0xC0;
    EXPECT_TRUE(absl::IsDataLoss(decoder.Decode(WithCrc(frame)).status())) << at;
  }
}

TEST(Fl001DriverTest, ListensOnly) {
  ScriptedLink link;
  const std::int64_t begin = link.now_ns();
  for (std::int64_t i = 0; i < 200; ++i) link.Arrive(begin + 32 * (i + 1) * kMs, Vector());
  const auto driver = MakeFl001Driver(link.Clock());
  ASSERT_TRUE(driver->Start(link, 0).ok());
  std::int64_t stamp = -32 * kMs;
  for (int i = 0; i < 200; ++i) {
    MeterBatch batch;
    ASSERT_TRUE(driver->Step(link, batch).ok());
    ASSERT_EQ(batch.samples.size(), 1U);
    EXPECT_EQ(batch.samples[0].t_ns, stamp + 32 * kMs);
    stamp = *batch.samples[0].t_ns;
  }
  driver->Stop(link);
  EXPECT_TRUE(link.written().empty());
}

}  // namespace
}  // namespace joulefarm::agent
