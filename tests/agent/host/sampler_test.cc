#include "agent/host/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <set>

#include "agent/process/boottime.h"
#include "agent/process/child_process.h"
#include "common/trace/trace_codec.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;

class TraceRecorder : public Recorder {
 public:
  void Log(const std::string&, std::string text) override {
    const std::lock_guard lock(mutex_);
    logs.push_back(std::move(text));
  }
  void Record(v1::Event event) override {
    const std::lock_guard lock(mutex_);
    if (event.has_channel()) declared[event.channel().name()] = event.channel();
    if (event.has_reason()) reasons.push_back(event.reason());
  }
  void Record(v1::Metric) override {}
  void Record(v1::TokenBatch) override {}
  void Record(v1::Stream stream, v1::TraceChunk chunk) override {
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(declared.contains(chunk.channel()))
        << "a chunk before its channel: " << chunk.channel();
    EXPECT_TRUE(decoder_.Decode(chunk, samples[chunk.channel()]).ok());
    streams[chunk.channel()] = stream;
    lost[chunk.channel()] += chunk.lost();
    changed_.notify_all();
  }
  bool WaitForSamples(const std::string& channel, std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return samples[channel].raw.size() >= count; });
  }

  std::vector<std::string> logs;
  std::vector<v1::Reason> reasons;
  std::map<std::string, v1::ChannelInfo> declared;
  std::map<std::string, TraceSamples> samples;
  std::map<std::string, v1::Stream> streams;
  std::map<std::string, std::int64_t> lost;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  TraceDecoder decoder_;
};

// Says 1, 2, 3, … or nothing at all.
class FakePower : public PowerSource {
 public:
  explicit FakePower(const char* name, absl::Status start = absl::OkStatus(),
                     absl::Status poll = absl::OkStatus())
      : start_(std::move(start)), poll_(std::move(poll)) {
    channels_.emplace_back().set_name(name);
  }
  const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
  v1::ChannelInfo& channel() { return channels_[0]; }
  std::optional<MeterReport> Meter() const override { return report; }
  absl::Status Start() override { return start_; }
  absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t& lost) override {
    if (!poll_.ok()) {
      ++lost;
      return poll_;
    }
    readings.push_back(PowerReading{0, BoottimeNs(), ++value_});
    return absl::OkStatus();
  }

  std::optional<MeterReport> report;  // of a meter

 private:
  absl::Status start_;
  absl::Status poll_;
  std::vector<v1::ChannelInfo> channels_;
  std::int64_t value_ = 0;
};

SamplerOptions Fast() {
  SamplerOptions options;
  options.period_ns = 5'000'000;
  options.chunk_ns = 20'000'000;
  return options;
}

TEST(Sampler, DeclaresAndSamplesTheHost) {
  TraceRecorder recorder;
  Sampler sampler(Fast(), &recorder);
  sampler.Start();
  EXPECT_TRUE(recorder.WaitForSamples("host.cpu", 5));
  sampler.Stop();
  EXPECT_EQ(recorder.declared["host.cpu"].quantity(), v1::QUANTITY_UTILISATION);
  EXPECT_EQ(recorder.declared["engine.cpu"].quantity(), v1::QUANTITY_CPU_TIME_S);
  EXPECT_EQ(recorder.declared["engine.rss"].quantity(), v1::QUANTITY_MEMORY_BYTES);
  EXPECT_EQ(recorder.declared["host.cpu"].nominal_hz(), 200);
  EXPECT_EQ(recorder.streams["host.cpu"], v1::STREAM_HOST);
  const TraceSamples& cpu = recorder.samples["host.cpu"];
  EXPECT_TRUE(std::is_sorted(cpu.t_ns.begin(), cpu.t_ns.end()));
  for (const std::int64_t raw : cpu.raw) {
    EXPECT_GE(raw, 0);
    EXPECT_LE(raw, 10'000);
  }
  EXPECT_TRUE(recorder.samples["engine.rss"].raw.empty()) << "no engine was attached";
  EXPECT_FALSE(sampler.TakePeakRss());
}

TEST(Sampler, FollowsTheEngineAndItsPeak) {
  TraceRecorder recorder;
  Sampler sampler(Fast(), &recorder);
  sampler.Start();
  ProcessOptions options;
  options.argv = {"sh", "-c", "i=0; while :; do i=$((i+1)); done"};
  auto child = ChildProcess::Start(std::move(options), nullptr);
  ASSERT_TRUE(child.ok());
  sampler.Attach((*child)->pid());
  EXPECT_TRUE(recorder.WaitForSamples("engine.cpu", 20));
  const auto peak = sampler.TakePeakRss();
  ASSERT_TRUE(peak);
  EXPECT_GT(*peak, 100'000);
  sampler.Attach(std::nullopt);
  (*child)->Terminate(0);
  EXPECT_FALSE(sampler.TakePeakRss());
  sampler.Stop();
  const TraceSamples& cpu = recorder.samples["engine.cpu"];
  EXPECT_TRUE(std::is_sorted(cpu.raw.begin(), cpu.raw.end()));
  EXPECT_GT(cpu.raw.back(), 0);
}

TEST(Sampler, CpuTimeGoesOnFromOneEngineToTheNext) {
  TraceRecorder recorder;
  Sampler sampler(Fast(), &recorder);
  sampler.Start();
  for (int i = 1; i <= 2; ++i) {
    ProcessOptions options;
    options.argv = {"sh", "-c", "while :; do :; done"};
    auto child = ChildProcess::Start(std::move(options), nullptr);
    ASSERT_TRUE(child.ok());
    sampler.Attach((*child)->pid());
    EXPECT_TRUE(recorder.WaitForSamples("engine.cpu", static_cast<std::size_t>(20 * i)));
    sampler.Attach(std::nullopt);
  }
  sampler.Stop();
  const TraceSamples& cpu = recorder.samples["engine.cpu"];
  EXPECT_TRUE(std::is_sorted(cpu.raw.begin(), cpu.raw.end()));
}

TEST(Sampler, PowerSourcesAreSampledAndBrokenOnesLeftOut) {
  TraceRecorder recorder;
  SamplerOptions options = Fast();
  options.power.push_back(std::make_unique<FakePower>("good"));
  options.power.push_back(
      std::make_unique<FakePower>("unplugged", absl::NotFoundError("no such meter")));
  options.power.push_back(std::make_unique<FakePower>("silent", absl::OkStatus(),
                                                      absl::UnavailableError("it is silent")));
  Sampler sampler(std::move(options), &recorder);
  sampler.Start();
  EXPECT_TRUE(recorder.WaitForSamples("good", 10));
  sampler.Stop();
  EXPECT_EQ(recorder.streams["good"], v1::STREAM_POWER);
  const std::vector<std::int64_t>& good = recorder.samples["good"].raw;
  for (std::size_t i = 0; i < good.size(); ++i)
    EXPECT_EQ(good[i], static_cast<std::int64_t>(i + 1));
  EXPECT_FALSE(recorder.declared.contains("unplugged"));
  EXPECT_GE(recorder.lost["silent"], 10);
  ASSERT_EQ(recorder.logs.size(), 2U) << "said once, not with every sample";
  EXPECT_THAT(recorder.logs[0], HasSubstr("no such meter"));
}

TEST(Sampler, EverySourceHasItsOwnRate) {
  TraceRecorder recorder;
  SamplerOptions options = Fast();
  options.period_ns = 3'600'000'000'000;
  auto fast = std::make_unique<FakePower>("fast");
  fast->channel().set_nominal_hz(500);
  options.power.push_back(std::move(fast));
  auto slow = std::make_unique<FakePower>("slow");
  slow->channel().set_nominal_hz(0.001);
  options.power.push_back(std::move(slow));
  Sampler sampler(std::move(options), &recorder);
  sampler.Start();
  EXPECT_TRUE(recorder.WaitForSamples("fast", 20));
  sampler.Stop();
  EXPECT_EQ(recorder.samples["slow"].raw.size(), 2U) << "what Start and Stop take";
  EXPECT_LE(recorder.samples["host.cpu"].raw.size(), 2U);
}

TEST(Sampler, TheBestSourceThatStartsIsPrimaryAndLive) {
  TraceRecorder recorder;
  SamplerOptions options = Fast();
  for (const char* name : {"estimated", "meter", "unplugged"}) {
    auto power = std::make_unique<FakePower>(
        name, name == std::string("unplugged") ? absl::NotFoundError("gone") : absl::OkStatus());
    power->channel().set_quantity(v1::QUANTITY_POWER_W);
    power->channel().set_scale(2);
    power->channel().set_provenance(v1::PROVENANCE_MEASURED);
    options.power.push_back(std::move(power));
  }
  options.ranking = {"unplugged", "meter", "estimated"};
  Sampler sampler(std::move(options), &recorder);
  EXPECT_FALSE(sampler.Live().power_w);
  EXPECT_TRUE(sampler.RecentPower(1'000'000'000).empty());
  sampler.Start();
  EXPECT_TRUE(recorder.WaitForSamples("meter", 5));
  const LiveReading live = sampler.Live();
  const std::vector<PowerPoint> recent = sampler.RecentPower(60'000'000'000);
  sampler.Stop();
  EXPECT_TRUE(recorder.declared["meter"].primary());
  EXPECT_FALSE(recorder.declared["estimated"].primary());
  EXPECT_EQ(live.channel, "meter");
  EXPECT_EQ(live.provenance, v1::PROVENANCE_MEASURED);
  EXPECT_TRUE(live.power_w);
  ASSERT_GE(recent.size(), 5U);
  EXPECT_EQ(recent[0].power_w, 2);
  EXPECT_EQ(recent[1].power_w, 4);
}

class AMeterThatDoesNotStart : public testing::Test {
 protected:
  void Run(const std::vector<std::string>& ranking) {
    SamplerOptions options = Fast();
    auto meter = std::make_unique<FakePower>("meter", absl::UnavailableError("another holds it"));
    meter->report.emplace();
    options.power.push_back(std::move(meter));
    for (const char* name : {"rapl.package", "estimated"})
      options.power.push_back(std::make_unique<FakePower>(name));
    options.ranking = ranking;
    Sampler sampler(std::move(options), &recorder_);
    sampler.Start();
    status_ = sampler.meter_status();
  }
  TraceRecorder recorder_;
  absl::Status status_;
};

TEST_F(AMeterThatDoesNotStart, IsReplacedByNoOtherSensor) {
  Run({"meter", "rapl.package", "estimated"});
  EXPECT_TRUE(absl::IsUnavailable(status_));
  EXPECT_FALSE(recorder_.declared["rapl.package"].primary());
  EXPECT_TRUE(recorder_.declared["estimated"].primary());
  ASSERT_EQ(recorder_.reasons.size(), 1U);
  EXPECT_EQ(recorder_.reasons[0].code(), "meter_left_out");
  EXPECT_EQ(recorder_.reasons[0].domain(), v1::DOMAIN_ENERGY);
  EXPECT_THAT(recorder_.reasons[0].detail(), HasSubstr("another holds it"));
}

TEST_F(AMeterThatDoesNotStart, OrCannotEvenBeOpened) {
  SamplerOptions options = Fast();
  for (const char* name : {"rapl.package", "estimated"})
    options.power.push_back(std::make_unique<FakePower>(name));
  options.ranking = {"rapl.package", "estimated"};
  options.meter_left_out = absl::UnavailableError("meter:x is not plugged in");
  Sampler sampler(std::move(options), &recorder_);
  sampler.Start();
  EXPECT_TRUE(absl::IsUnavailable(sampler.meter_status()));
  EXPECT_FALSE(recorder_.declared["rapl.package"].primary());
  EXPECT_TRUE(recorder_.declared["estimated"].primary());
  ASSERT_EQ(recorder_.reasons.size(), 1U);
  EXPECT_EQ(recorder_.reasons[0].code(), "meter_left_out");
  EXPECT_EQ(recorder_.reasons[0].quality(), v1::QUALITY_SUSPECT);
  EXPECT_EQ(recorder_.reasons[0].detail(), "meter:x is not plugged in");
}

TEST_F(AMeterThatDoesNotStart, MattersNotWhereResultsComeFromElsewhere) {
  Run({"rapl.package", "meter", "estimated"});
  EXPECT_TRUE(status_.ok());
  EXPECT_TRUE(recorder_.declared["rapl.package"].primary());
  EXPECT_TRUE(recorder_.reasons.empty());
}

TEST(Sampler, ReadingsGoOnUntilALateSourceHasShownTheEnd) {
  constexpr std::int64_t kLateNs = 40'000'000;
  TraceRecorder recorder;
  SamplerOptions options = Fast();
  auto late = std::make_unique<FakePower>("late");
  late->channel().set_nominal_hz(200);
  late->channel().set_latency_ns(kLateNs / 2);
  late->channel().set_smoothing_ns(kLateNs / 2);
  options.power.push_back(std::move(late));
  Sampler sampler(std::move(options), &recorder);
  sampler.Start();
  const std::int64_t end_ns = BoottimeNs();
  sampler.Stop();
  const std::vector<std::int64_t>& stamps = recorder.samples["late"].t_ns;
  ASSERT_FALSE(stamps.empty());
  EXPECT_GE(stamps.back(), end_ns + kLateNs);
}

TEST(Sampler, ReadingsCoverEverythingBetweenStartAndStop) {
  constexpr std::int64_t kRefreshNs = 30'000'000;
  TraceRecorder recorder;
  SamplerOptions options;
  options.period_ns = 3'600'000'000'000;  // only what Start and Stop take themselves
  auto counter = std::make_unique<FakePower>("counter");
  counter->channel().set_quantity(v1::QUANTITY_ENERGY_COUNTER_J);
  counter->channel().set_refresh_ns(kRefreshNs);
  options.power.push_back(std::move(counter));
  Sampler sampler(std::move(options), &recorder);
  sampler.Start();
  const std::int64_t begin_ns = BoottimeNs();
  const std::int64_t end_ns = BoottimeNs();
  sampler.Stop();
  const std::vector<std::int64_t>& stamps = recorder.samples["counter"].t_ns;
  ASSERT_EQ(stamps.size(), 2U);
  EXPECT_LE(stamps.front(), begin_ns);
  EXPECT_GE(stamps.back(), end_ns + kRefreshNs) << "the last reading may not show the end yet";
}

}  // namespace
}  // namespace joulefarm::agent
