#include "agent/host/sampler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"
#include "agent/process/stop_fd.h"

namespace joulefarm::agent {
namespace {

constexpr double kShareScale = 1e-4;
constexpr double kSecondsScale = 1e-6;

v1::ChannelInfo HostChannel(const char* name, v1::Quantity quantity, double scale, double hz,
                            const char* description) {
  v1::ChannelInfo channel;
  channel.set_name(name);
  channel.set_quantity(quantity);
  channel.set_scale(scale);
  channel.set_nominal_hz(hz);
  channel.set_provenance(v1::PROVENANCE_MEASURED);
  channel.set_description(description);
  return channel;
}

std::int64_t Raw(double value, double scale) {
  return static_cast<std::int64_t>(std::llround(value / scale));
}

}  // namespace

Sampler::Sampler(SamplerOptions options, Recorder* recorder)
    : options_(std::move(options)),
      recorder_(recorder),
      host_cpu_("host.cpu", v1::STREAM_HOST, ChunkLimits{options_.chunk_ns}, &encoder_, recorder),
      background_cpu_("background.cpu", v1::STREAM_HOST, ChunkLimits{options_.chunk_ns}, &encoder_,
                      recorder),
      engine_cpu_("engine.cpu", v1::STREAM_HOST, ChunkLimits{options_.chunk_ns}, &encoder_,
                  recorder),
      engine_rss_("engine.rss", v1::STREAM_HOST, ChunkLimits{options_.chunk_ns}, &encoder_,
                  recorder) {}

Sampler::~Sampler() { Stop(); }

void Sampler::Declare(const v1::ChannelInfo& channel) {
  v1::Event event;
  event.set_t_ns(BoottimeNs());
  *event.mutable_channel() = channel;
  recorder_->Record(std::move(event));
}

void Sampler::Start() {
  const double hz = 1e9 / static_cast<double>(options_.period_ns);
  Declare(HostChannel(
      "host.cpu", v1::QUANTITY_UTILISATION, kShareScale, hz,
      "busy share of all cores over the period that ends at the stamp, from /proc/stat"));
  Declare(HostChannel("background.cpu", v1::QUANTITY_UTILISATION, kShareScale, hz,
                      "host.cpu without the engine's part; Joulefarm's agent is in it"));
  Declare(HostChannel(
      "engine.cpu", v1::QUANTITY_CPU_TIME_S, kSecondsScale, hz,
      "processor time of the engine's processes since it started, from /proc/PID/stat"));
  Declare(HostChannel("engine.rss", v1::QUANTITY_MEMORY_BYTES, 1, hz,
                      "resident memory of the engine's processes, summed, from /proc/PID/stat"));
  for (std::unique_ptr<PowerSource>& power : options_.power) {
    const absl::Status started = power->Start();
    if (!started.ok()) {
      recorder_->Log("agent", absl::StrCat("power source left out: ", started.message()));
      continue;
    }
    Source source;
    for (const v1::ChannelInfo& channel : power->channels()) {
      Declare(channel);
      source.writers.push_back(std::make_unique<ChannelWriter>(
          channel.name(), v1::STREAM_POWER, ChunkLimits{options_.chunk_ns}, &encoder_, recorder_));
    }
    source.power = std::move(power);
    sources_.push_back(std::move(source));
  }
  last_times_ = ReadCpuTimes(options_.paths);
  std::promise<void> sampled;
  const std::future<void> first_sample = sampled.get_future();
  thread_ = std::jthread([this, sampled = std::move(sampled)](std::stop_token stop) mutable {
    Loop(std::move(stop), std::move(sampled));
  });
  first_sample.wait();
}

void Sampler::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void Sampler::Attach(std::optional<pid_t> leader) {
  const std::lock_guard lock(mutex_);
  if (engine_) {
    ReadEngine();
    ended_cpu_s_ += std::exchange(engine_cpu_s_, 0);
  }
  engine_.reset();
  peak_bytes_.reset();
  high_water_bytes_ = 0;
  if (leader) engine_.emplace(options_.paths, *leader);
}

std::optional<std::int64_t> Sampler::TakePeakRss() {
  const std::lock_guard lock(mutex_);
  const std::optional<ProcessTree::Sample> now = ReadEngine();
  if (now) high_water_bytes_ = now->leader_peak_bytes.value_or(0);
  return std::exchange(peak_bytes_, std::nullopt);
}

std::optional<ProcessTree::Sample> Sampler::ReadEngine() {
  if (!engine_) return std::nullopt;
  const std::optional<ProcessTree::Sample> sample = engine_->Read();
  if (!sample) return std::nullopt;
  engine_cpu_s_ = sample->cpu_s;
  peak_bytes_ = std::max(peak_bytes_.value_or(0), sample->rss_bytes);
  // A high-water mark that has risen was reached since; one that has not says nothing of this
  // interval.
  const std::int64_t high_water_bytes = sample->leader_peak_bytes.value_or(0);
  if (high_water_bytes > high_water_bytes_) peak_bytes_ = std::max(*peak_bytes_, high_water_bytes);
  return sample;
}

std::int64_t Sampler::LongestRefreshNs() const {
  std::int64_t longest_ns = 0;
  for (const Source& source : sources_) {
    for (const v1::ChannelInfo& channel : source.power->channels())
      longest_ns = std::max(longest_ns, channel.refresh_ns());
  }
  return longest_ns;
}

void Sampler::Loop(std::stop_token stop, std::promise<void> sampled) {
  const StopFd stopped(std::move(stop));
  std::int64_t next_ns = BoottimeNs();
  std::int64_t lost = 0;
  SamplePower();
  SampleHost(0);
  sampled.set_value();
  while (!stopped.stop_requested()) {
    const std::int64_t now_ns = BoottimeNs();
    Flush(FlushWhat::kDue);
    next_ns += options_.period_ns;
    // Deadlines that have passed are samples lost, not samples to be made up for.
    while (next_ns < now_ns) {
      next_ns += options_.period_ns;
      ++lost;
    }
    if (stopped.SleepUntil(next_ns) == Wake::kStop) break;
    SamplePower();
    SampleHost(std::exchange(lost, 0));
  }
  // A counter's reading shows it as it was up to a refresh before.
  std::this_thread::sleep_for(std::chrono::nanoseconds(LongestRefreshNs()));
  SamplePower();
  SampleHost(lost);
  Flush(FlushWhat::kAll);
}

void Sampler::SamplePower() {
  for (Source& source : sources_) {
    std::int64_t lost = 0;
    source.readings.clear();
    const absl::Status polled = source.power->Poll(source.readings, lost);
    if (!polled.ok() && !source.failing) recorder_->Log("agent", std::string(polled.message()));
    source.failing = !polled.ok();
    for (const PowerReading& reading : source.readings) {
      source.writers[static_cast<std::size_t>(reading.channel)]->Add(reading.t_ns, reading.raw);
    }
    if (lost == 0) continue;
    for (const auto& writer : source.writers) writer->AddLost(lost);
  }
}

void Sampler::SampleHost(std::int64_t lost) {
  if (lost > 0) {
    for (ChannelWriter* writer : {&host_cpu_, &background_cpu_}) writer->AddLost(lost);
  }
  const std::int64_t t_ns = BoottimeNs();
  const std::optional<CpuTimes> times = ReadCpuTimes(options_.paths);
  double engine_cpu_s = 0;
  {
    const std::lock_guard lock(mutex_);
    const std::optional<ProcessTree::Sample> engine = ReadEngine();
    engine_cpu_s = ended_cpu_s_ + engine_cpu_s_;
    if (engine) {
      engine_cpu_.Add(t_ns, Raw(engine_cpu_s, kSecondsScale));
      engine_rss_.Add(t_ns, engine->rss_bytes);
    }
  }
  if (times && last_times_) {
    const double total_s = times->total_s - last_times_->total_s;
    if (const std::optional<double> busy = BusyShare(*last_times_, *times)) {
      const double background =
          std::clamp(*busy - (engine_cpu_s - last_engine_cpu_s_) / total_s, 0.0, 1.0);
      host_cpu_.Add(t_ns, Raw(*busy, kShareScale));
      background_cpu_.Add(t_ns, Raw(background, kShareScale));
    }
  }
  if (times) last_times_ = times;
  last_engine_cpu_s_ = engine_cpu_s;
}

void Sampler::Flush(FlushWhat what) {
  const std::int64_t now_ns = BoottimeNs();
  const auto flush = [&](ChannelWriter& writer) {
    if (what == FlushWhat::kAll) {
      writer.Flush();
    } else {
      writer.FlushIfDue(now_ns);
    }
  };
  for (ChannelWriter* writer : {&host_cpu_, &background_cpu_, &engine_cpu_, &engine_rss_})
    flush(*writer);
  for (Source& source : sources_) {
    for (const auto& writer : source.writers) flush(*writer);
  }
}

}  // namespace joulefarm::agent
