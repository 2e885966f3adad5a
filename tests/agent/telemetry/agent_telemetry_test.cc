#include "agent/telemetry/agent_telemetry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

namespace joulefarm::agent {
namespace {

LiveReading Reading(double watts) {
  LiveReading reading;
  reading.power_w = watts;
  reading.provenance = v1::PROVENANCE_MEASURED;
  reading.channel = "km003c";
  return reading;
}

// A stream takes news only while nothing waits on it, so what comes apart is lost.
TEST(AgentTelemetry, WhatIsMeasuredForSeveralDevicesIsToldTogether) {
  LiveAttempt live;
  LiveHelps helps;
  const LiveHelps::Offer one(&helps, 7, "phone-1", [] { return Reading(3); });
  const LiveHelps::Offer other(&helps, 8, "phone-2", [] { return Reading(4); });
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<v1::Telemetry> sent;
  AgentTelemetry telemetry({.device_id = "lab",
                            .paths = HostPaths(),
                            .power = {},
                            .live = &live,
                            .helps = &helps,
                            .send = [&](Connection to, std::vector<v1::Telemetry> all) {
                              EXPECT_EQ(to, 5);
                              const std::lock_guard lock(mutex);
                              sent = std::move(all);
                              changed.notify_all();
                            }});
  v1::WatchDevice ask;
  ask.set_device_id("phone-2");
  ask.set_period_ns(250'000'000);
  telemetry.Ask(5, ask);
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, std::chrono::minutes(1), [&] { return !sent.empty(); }));
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].device_id(), "phone-1");
  EXPECT_EQ(sent[0].fence(), 7);
  EXPECT_EQ(sent[0].power_w(), 3);
  EXPECT_EQ(sent[0].provenance(), v1::PROVENANCE_MEASURED);
  EXPECT_EQ(sent[1].device_id(), "phone-2");
  EXPECT_EQ(sent[1].power_w(), 4);
}

}  // namespace
}  // namespace joulefarm::agent
