#include "agent/run/attempt_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/sha256/sha256.h"
#include "tests/agent/run/collecting_recorder.h"

namespace joulefarm::agent {
namespace {

TEST(AttemptRecordTest, PromptsAreHashedInTheirOrder) {
  v1::JobSpec spec;
  EXPECT_FALSE(PromptsSha256(spec));
  spec.mutable_generate()->add_prompts()->set_text("one");
  spec.mutable_generate()->add_prompts()->set_text("two");
  EXPECT_EQ(PromptsSha256(spec), Sha256Hex("one\ntwo\n"));
  spec.mutable_generate()->mutable_prompts()->SwapElements(0, 1);
  EXPECT_EQ(PromptsSha256(spec), Sha256Hex("two\none\n"));
}

TEST(AttemptRecordTest, TheStateOfTheDeviceIsMetricsOfTheAttempt) {
  DeviceState device;
  device.zones = {{"cpu-thermal", 48.25}};
  device.throttles = {{"core", 6}};
  device.batteries = {{"BAT0", 73, true}, {"BAT1", {}, {}}};
  CollectingRecorder recorder;
  RecordDeviceState("start", device, recorder);
  ASSERT_EQ(recorder.metrics.size(), 3u);
  for (const v1::Metric& metric : recorder.metrics) EXPECT_FALSE(metric.has_run());
  EXPECT_EQ(recorder.metrics[0].name(), "start.temp.cpu-thermal");
  EXPECT_EQ(recorder.metrics[0].value(), 48.25);
  EXPECT_EQ(recorder.metrics[0].unit(), "°C");
  EXPECT_EQ(recorder.metrics[1].name(), "start.throttle.core");
  EXPECT_EQ(recorder.metrics[1].value(), 6);
  EXPECT_EQ(recorder.metrics[2].name(), "start.battery.BAT0");
  EXPECT_EQ(recorder.metrics[2].unit(), "%");
}

}  // namespace
}  // namespace joulefarm::agent
