#include "agent/host/sampled_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "agent/process/boottime.h"
#include "common/trace/trace_codec.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kChunkNs = 1'000 * kMs;

class KeepingRecorder : public Recorder {
 public:
  void Log(const std::string&, std::string text) override { logs.push_back(std::move(text)); }
  void Record(v1::Event event) override { events.push_back(std::move(event)); }
  void Record(v1::Metric) override {}
  void Record(v1::TokenBatch) override {}
  void Record(v1::Stream, v1::TraceChunk chunk) override {
    EXPECT_TRUE(decoder_.Decode(chunk, samples[chunk.channel()]).ok());
    lost += chunk.lost();
    ++chunks;
  }
  std::vector<std::string> logs;
  std::vector<v1::Event> events;
  std::map<std::string, TraceSamples> samples;
  std::int64_t lost = 0;
  int chunks = 0;

 private:
  TraceDecoder decoder_;
};

// Gives out what the test has put there.
class FakeMeter : public PowerSource {
 public:
  FakeMeter() {
    v1::ChannelInfo& channel = channels_.emplace_back();
    channel.set_name("m");
    channel.set_clock("meter:test:1");
    channel.set_nominal_hz(5000);
  }
  const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
  v1::ChannelInfo& channel() { return channels_[0]; }
  absl::Status Start() override { return absl::OkStatus(); }
  absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t& lost) override {
    readings = std::exchange(waiting, {});
    lost += std::exchange(lost_samples, 0);
    return status;
  }
  bool buffered() const override { return true; }
  std::vector<ClockPair> TakePairs() override { return std::exchange(pairs, {}); }
  std::optional<MeterReport> Meter() const override { return report; }
  std::optional<std::int64_t> Made() const override { return made; }

  std::vector<PowerReading> waiting;
  std::vector<ClockPair> pairs;
  std::int64_t lost_samples = 0;
  absl::Status status;
  MeterReport report;
  std::optional<std::int64_t> made;

 private:
  std::vector<v1::ChannelInfo> channels_;
};

class SampledSourceTest : public testing::Test {
 protected:
  SampledSourceTest() {
    auto meter = std::make_unique<FakeMeter>();
    meter_ = meter.get();
    meter_->report.id = "meter:test:1";
    source_ = std::make_unique<SampledSource>(std::move(meter),
                                              SampledSource::Options{kChunkNs, 100 * kMs, "edge"},
                                              &encoder_, &recorder_);
  }
  // A reading of a tick that arrived at that time.
  void Arrive(std::int64_t tick_ns, std::int64_t arrived_ns) {
    meter_->waiting.push_back({0, tick_ns, 7, arrived_ns});
    meter_->pairs.push_back({tick_ns, {}, arrived_ns, false});
  }

  TraceEncoder encoder_;
  KeepingRecorder recorder_;
  FakeMeter* meter_ = nullptr;
  std::unique_ptr<SampledSource> source_;
};

TEST_F(SampledSourceTest, AMeterIsCollectedFromAtLeisure) {
  EXPECT_EQ(source_->period_ns(), 100 * kMs);
  EXPECT_EQ(source_->settle_ns(), 50 * kMs);
}

TEST_F(SampledSourceTest, WhatIsLateIsWaitedFor) {
  meter_->channel().set_nominal_hz(1);
  EXPECT_GE(source_->settle_ns(), 1'000 * kMs) << "a sample of the time after the end";
  meter_->channel().set_nominal_hz(100);
  meter_->channel().set_latency_ns(200 * kMs);
  meter_->channel().set_smoothing_ns(500 * kMs);
  EXPECT_EQ(source_->settle_ns(), (200 + 500 + 50) * kMs);
  meter_->channel().set_latency_ns(3'600'000 * kMs);
  EXPECT_EQ(source_->settle_ns(), 5'000 * kMs) << "but not for ever";
}

TEST_F(SampledSourceTest, WhatItIsAndHowItDid) {
  source_->Declare();
  ASSERT_EQ(recorder_.events.size(), 1U);
  EXPECT_EQ(recorder_.events[0].meter().resource_id(), "meter:test:1");
  EXPECT_EQ(recorder_.events[0].meter().agent_id(), "edge");
  meter_->report.counts.reopened = 2;
  source_->End();
  ASSERT_EQ(recorder_.events.size(), 2U);
  EXPECT_EQ(recorder_.events[1].meter_stats().reopened(), 2);
}

TEST_F(SampledSourceTest, SamplesKeepTheirTicksAndTheClocksPairsAreRecordedBesideThem) {
  Arrive(50 * kMs, 9'000 * kMs);
  EXPECT_EQ(source_->Sample().size(), 1U);
  Arrive(60 * kMs, 9'010 * kMs);
  source_->Sample();
  EXPECT_EQ(recorder_.chunks, 0);
  EXPECT_THAT(recorder_.events, IsEmpty());
  source_->Flush();
  EXPECT_EQ(recorder_.chunks, 1);
  EXPECT_THAT(recorder_.samples["m"].t_ns, ElementsAre(50 * kMs, 60 * kMs));
  ASSERT_EQ(recorder_.events.size(), 1U);
  EXPECT_THAT(recorder_.events[0].meter_ticks().tick_ns(), ElementsAre(50 * kMs, 60 * kMs));
  EXPECT_THAT(recorder_.events[0].meter_ticks().arrived_ns(),
              ElementsAre(9'000 * kMs, 9'010 * kMs));
}

TEST_F(SampledSourceTest, FullChunksWaitForTheOthers) {
  std::vector<std::int64_t> sent;
  for (int second = 0; second < 3; ++second) {
    for (int i = 0; i < 5'000; ++i) {
      sent.push_back(second * kChunkNs + i * kMs / 5);
      meter_->waiting.push_back({0, sent.back(), i, sent.back()});
    }
    source_->Sample();
    EXPECT_EQ(recorder_.chunks, 3 * second);
    source_->Flush();
    EXPECT_EQ(recorder_.chunks, 3 * (second + 1)) << "of 2000, 2000 and 1000 samples";
  }
  EXPECT_EQ(recorder_.samples["m"].t_ns, sent);
}

TEST_F(SampledSourceTest, TheEndHandsOutWhatIsLeft) {
  Arrive(50 * kMs, 9'000 * kMs);
  source_->Sample();
  source_->End();
  EXPECT_EQ(recorder_.samples["m"].raw.size(), 1U);
  ASSERT_EQ(recorder_.events.size(), 2U);
  EXPECT_TRUE(recorder_.events[0].has_meter_ticks());
  EXPECT_TRUE(recorder_.events[1].has_meter_stats());
}

TEST_F(SampledSourceTest, TheCountOfASourceThatMakesItsSamplesIsInTheLog) {
  source_->End();
  EXPECT_THAT(recorder_.logs, IsEmpty());
  meter_->made = 5'001;
  source_->End();
  EXPECT_THAT(recorder_.logs, ElementsAre("m: 5001 samples were made"));
}

TEST_F(SampledSourceTest, TroubleIsLoggedOnceAndLossesAreKept) {
  meter_->status = absl::UnavailableError("it was unplugged");
  meter_->lost_samples = 3;
  source_->Sample();
  source_->Sample();
  EXPECT_THAT(recorder_.logs, ElementsAre("it was unplugged"));
  meter_->status = absl::OkStatus();
  source_->Sample();
  source_->End();
  EXPECT_EQ(recorder_.lost, 3);
}

}  // namespace
}  // namespace joulefarm::agent
