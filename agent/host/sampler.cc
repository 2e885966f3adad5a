#include "agent/host/sampler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "agent/host/measured_channel.h"
#include "agent/process/boottime.h"
#include "agent/process/stop_fd.h"

namespace joulefarm::agent {
namespace {

constexpr double kShareScale = 1e-4;
constexpr double kSecondsScale = 1e-6;
constexpr std::int64_t kLiveNs = 1'000'000'000;

double Rate(std::int64_t period_ns) { return 1e9 / static_cast<double>(period_ns); }

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
                  recorder),
      cpu_times_(options_.paths) {}

Sampler::~Sampler() { Stop(); }

void Sampler::Declare(const v1::ChannelInfo& channel) {
  v1::Event event;
  event.set_t_ns(BoottimeNs());
  *event.mutable_channel() = channel;
  recorder_->Record(std::move(event));
}

void Sampler::Start() {
  const double hz = Rate(options_.period_ns);
  Declare(MeasuredChannel(
      "host.cpu", v1::QUANTITY_UTILISATION, kShareScale, hz,
      "busy share of all cores over the period that ends at the stamp, from /proc/stat"));
  Declare(MeasuredChannel("background.cpu", v1::QUANTITY_UTILISATION, kShareScale, hz,
                          "host.cpu without the engine's part; Joulefarm's agent is in it"));
  Declare(MeasuredChannel(
      "engine.cpu", v1::QUANTITY_CPU_TIME_S, kSecondsScale, hz,
      "processor time of the engine's processes since it started, from /proc/PID/stat"));
  Declare(
      MeasuredChannel("engine.rss", v1::QUANTITY_MEMORY_BYTES, 1, hz,
                      "resident memory of the engine's processes, summed, from /proc/PID/stat"));
  sensors_ = std::make_unique<HostSensors>(options_.paths, Rate(options_.sensor_period_ns));
  for (const v1::ChannelInfo& channel : sensors_->channels()) {
    Declare(channel);
    sensor_writers_.push_back(MakeWriter(channel, v1::STREAM_HOST));
  }
  StartSources();
  last_times_ = cpu_times_.Read();
  std::promise<void> sampled;
  const std::future<void> first_sample = sampled.get_future();
  thread_ = std::jthread([this, sampled = std::move(sampled)](std::stop_token stop) mutable {
    Loop(std::move(stop), std::move(sampled));
  });
  first_sample.wait();
}

std::unique_ptr<ChannelWriter> Sampler::MakeWriter(const v1::ChannelInfo& channel,
                                                   v1::Stream stream) {
  return std::make_unique<ChannelWriter>(channel.name(), stream, ChunkLimits{options_.chunk_ns},
                                         &encoder_, recorder_);
}

void Sampler::LeaveOutMeter(const absl::Status& why) {
  meter_status_ = why;
  options_.ranking = {kEstimatedChannel};
  v1::Event event;
  event.set_t_ns(BoottimeNs());
  v1::Reason& reason = *event.mutable_reason();
  reason.set_domain(v1::DOMAIN_ENERGY);
  reason.set_quality(v1::QUALITY_SUSPECT);
  reason.set_code("meter_left_out");
  reason.set_detail(std::string(why.message()));
  recorder_->Record(std::move(event));
}

void Sampler::StartSources() {
  if (!options_.meter_left_out.ok()) {
    recorder_->Log("agent", absl::StrCat("meter left out: ", options_.meter_left_out.message()));
    LeaveOutMeter(options_.meter_left_out);
  }
  const std::optional<ChannelPlace> chosen = FindPrimary(
      options_.power,
      absl::MakeConstSpan(options_.ranking).subspan(0, options_.ranking.empty() ? 0 : 1));
  std::vector<std::unique_ptr<PowerSource>> started;
  for (std::size_t i = 0; i < options_.power.size(); ++i) {
    std::unique_ptr<PowerSource>& power = options_.power[i];
    if (const absl::Status status = power->Start(); status.ok()) {
      started.push_back(std::move(power));
    } else {
      recorder_->Log("agent", absl::StrCat("power source left out: ", status.message()));
      if (chosen && chosen->source == i && power->Meter()) LeaveOutMeter(status);
    }
  }
  primary_ = FindPrimary(started, options_.ranking);
  for (std::size_t i = 0; i < started.size(); ++i) {
    auto power = std::make_unique<SampledSource>(
        std::move(started[i]),
        SampledSource::Options{options_.chunk_ns, options_.period_ns, options_.agent_id}, &encoder_,
        recorder_);
    power->Declare();
    for (std::size_t place = 0; place < power->channels().size(); ++place) {
      v1::ChannelInfo channel = power->channels()[place];
      const bool primary =
          primary_ && primary_->source == i && primary_->channel == static_cast<int>(place);
      channel.set_primary(primary);
      Declare(channel);
      if (!primary) continue;
      const std::lock_guard lock(live_mutex_);
      power_.emplace(std::move(channel));
    }
    Source source;
    source.beat.period_ns = power->period_ns();
    source.power = std::move(power);
    sources_.push_back(std::move(source));
  }
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
  for (const Source& source : sources_)
    longest_ns = std::max(longest_ns, source.power->settle_ns());
  return longest_ns;
}

void Sampler::Loop(std::stop_token stop, std::promise<void> sampled) {
  const StopFd stopped(std::move(stop));
  const std::int64_t start_ns = BoottimeNs();
  Beat host{options_.period_ns, start_ns + options_.period_ns};
  Beat sensors{options_.sensor_period_ns, start_ns + options_.sensor_period_ns};
  for (Source& source : sources_) source.beat.next_ns = start_ns + source.beat.period_ns;
  flush_ = {options_.chunk_ns, start_ns + options_.chunk_ns};
  SampleEverything(0);
  sampled.set_value();
  std::int64_t lost = 0;
  while (!stopped.stop_requested()) {
    FlushIfDue();
    std::int64_t next_ns = std::min(host.next_ns, sensors.next_ns);
    for (const Source& source : sources_) next_ns = std::min(next_ns, source.beat.next_ns);
    if (stopped.SleepUntil(next_ns) == Wake::kStop) break;
    for (Source& source : sources_) {
      if (source.beat.Due(BoottimeNs()).due) Sample(source);
    }
    if (const Beat::Now now = host.Due(BoottimeNs()); now.due) {
      lost += now.lost;
      SampleHost(std::exchange(lost, 0));
    }
    if (sensors.Due(BoottimeNs()).due) SampleSensors();
  }
  AwaitLate();
  SampleEverything(lost);
  Flush();
  for (Source& source : sources_) source.power->End();
}

void Sampler::AwaitLate() {
  const std::int64_t until_ns = BoottimeNs() + LongestRefreshNs();
  while (BoottimeNs() < until_ns) {
    std::int64_t next_ns = until_ns;
    for (const Source& source : sources_) next_ns = std::min(next_ns, source.beat.next_ns);
    std::this_thread::sleep_for(
        std::chrono::nanoseconds(std::max<std::int64_t>(0, next_ns - BoottimeNs())));
    for (Source& source : sources_) {
      if (source.beat.Due(BoottimeNs()).due) Sample(source);
    }
    FlushIfDue();
  }
}

Sampler::Beat::Now Sampler::Beat::Due(std::int64_t now_ns) {
  Now now;
  if (now_ns < next_ns) return now;
  now.due = true;
  next_ns += period_ns;
  // Deadlines that have passed are samples lost, not samples to be made up for.
  while (next_ns < now_ns) {
    next_ns += period_ns;
    ++now.lost;
  }
  return now;
}

void Sampler::SampleEverything(std::int64_t lost) {
  for (Source& source : sources_) Sample(source);
  SampleHost(lost);
  SampleSensors();
}

void Sampler::Sample(Source& source) {
  const absl::Span<const PowerReading> readings = source.power->Sample();
  if (!primary_ || &source != &sources_[primary_->source]) return;
  const std::lock_guard lock(live_mutex_);
  for (const PowerReading& reading : readings) {
    if (reading.channel == primary_->channel) power_->Add(reading.seen_ns(), reading.raw);
  }
}

void Sampler::SampleSensors() {
  const std::int64_t t_ns = BoottimeNs();
  sensors_->Read(
      [&](std::size_t channel, std::int64_t raw) { sensor_writers_[channel]->Add(t_ns, raw); });
  const std::lock_guard lock(live_mutex_);
  hottest_c_ = sensors_->hottest_c();
  fastest_hz_ = sensors_->fastest_hz();
}

LiveReading Sampler::Live() {
  LiveReading reading;
  reading.t_ns = BoottimeNs();
  const std::lock_guard lock(live_mutex_);
  if (power_) {
    reading.power_w = power_->MeanBefore(reading.t_ns);
    reading.provenance = power_->channel().provenance();
    reading.scope = power_->channel().scope();
    reading.channel = power_->channel().name();
  }
  reading.temp_c = hottest_c_;
  reading.cpu_hz = fastest_hz_;
  if (cpu_.size() > 1) reading.cpu_share = BusyShare(cpu_.front().times, cpu_.back().times);
  reading.rss_bytes = rss_bytes_;
  return reading;
}

std::vector<PowerPoint> Sampler::RecentPower(std::int64_t window_ns) {
  const std::int64_t now_ns = BoottimeNs();
  const std::lock_guard lock(live_mutex_);
  if (!power_) return {};
  return power_->Since(now_ns - window_ns);
}

void Sampler::NoteHost(const std::optional<CpuTimes>& times, std::int64_t t_ns,
                       std::optional<std::int64_t> rss_bytes) {
  const std::lock_guard lock(live_mutex_);
  rss_bytes_ = rss_bytes;
  if (!times) return;
  cpu_.push_back({t_ns, *times});
  while (cpu_.size() > 2 && cpu_[1].t_ns <= t_ns - kLiveNs) cpu_.pop_front();
}

void Sampler::SampleHost(std::int64_t lost) {
  if (lost > 0) {
    for (ChannelWriter* writer : {&host_cpu_, &background_cpu_}) writer->AddLost(lost);
  }
  const std::int64_t t_ns = BoottimeNs();
  const std::optional<CpuTimes> times = cpu_times_.Read();
  double engine_cpu_s = 0;
  std::optional<std::int64_t> rss_bytes;
  {
    const std::lock_guard lock(mutex_);
    const std::optional<ProcessTree::Sample> engine = ReadEngine();
    engine_cpu_s = ended_cpu_s_ + engine_cpu_s_;
    if (engine) {
      engine_cpu_.Add(t_ns, Raw(engine_cpu_s, kSecondsScale));
      engine_rss_.Add(t_ns, engine->rss_bytes);
      rss_bytes = engine->rss_bytes;
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
  NoteHost(times, t_ns, rss_bytes);
}

void Sampler::Flush() {
  for (ChannelWriter* writer : {&host_cpu_, &background_cpu_, &engine_cpu_, &engine_rss_})
    writer->Flush();
  for (const auto& writer : sensor_writers_) writer->Flush();
  for (Source& source : sources_) source.power->Flush();
}

// Something is sampled ten times a second: that often is often enough to look.
void Sampler::FlushIfDue() {
  if (flush_.Due(BoottimeNs()).due) Flush();
}

}  // namespace joulefarm::agent
