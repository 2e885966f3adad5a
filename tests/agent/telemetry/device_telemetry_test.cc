#include "agent/telemetry/device_telemetry.h"

#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

LiveReading Busy() {
  LiveReading reading;
  reading.t_ns = 42;
  reading.power_w = 14.2;
  reading.provenance = v1::PROVENANCE_ESTIMATED;
  reading.channel = "estimated";
  reading.temp_c = 51;
  reading.rss_bytes = 1 << 20;
  return reading;
}

TEST(DeviceTelemetry, ShowsTheAttemptThatRunsAndOtherwiseTheHost) {
  LiveAttempt live;
  DeviceTelemetry device("edge", HostPaths(), PowerSettings(), &live);
  const v1::Telemetry idle = device.Read();
  EXPECT_EQ(idle.device_id(), "edge");
  EXPECT_FALSE(idle.has_fence());
  EXPECT_FALSE(idle.has_tokens_per_s());
  EXPECT_FALSE(idle.has_rss_bytes());
  EXPECT_GT(idle.t_ns(), 0);
  {
    const LiveAttempt::Offer offer(&live, 7, Busy);
    live.Speed(402);
    const v1::Telemetry busy = device.Read();
    EXPECT_EQ(busy.fence(), 7);
    EXPECT_EQ(busy.power_w(), 14.2);
    EXPECT_EQ(busy.provenance(), v1::PROVENANCE_ESTIMATED);
    EXPECT_EQ(busy.channel(), "estimated");
    EXPECT_EQ(busy.temp_c(), 51);
    EXPECT_EQ(busy.tokens_per_s(), 402);
    EXPECT_EQ(busy.rss_bytes(), 1 << 20);
    EXPECT_FALSE(busy.has_cpu_hz());
    EXPECT_FALSE(busy.has_cpu_share());
  }
  device.Rest();
  EXPECT_FALSE(device.Read().has_fence());
}

}  // namespace
}  // namespace joulefarm::agent
