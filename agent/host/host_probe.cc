#include "agent/host/host_probe.h"

#include <utility>

#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

constexpr double kSensorHz = 1;

}  // namespace

HostProbe::HostProbe(HostPaths paths, const PowerSettings& power)
    : paths_(std::move(paths)), sensors_(paths_, kSensorHz) {
  // A meter is opened by attempts only: just now it may measure another device.
  PowerSelection selection = SelectPower(PowerWish{.no_meter = true}, paths_, power);
  for (std::unique_ptr<PowerSource>& source : selection.sources) {
    if (source->Start().ok()) sources_.push_back(std::move(source));
  }
  if (const std::optional<ChannelPlace> place = FindPrimary(sources_, selection.ranking)) {
    primary_source_ = place->source;
    primary_channel_ = place->channel;
    power_.emplace(sources_[place->source]->channels()[static_cast<std::size_t>(place->channel)]);
  }
  last_times_ = ReadCpuTimes(paths_);
}

void HostProbe::ReadPower(LiveReading& reading) {
  if (!power_) return;
  std::vector<PowerReading> readings;
  std::int64_t lost = 0;
  const bool all_read = sources_[primary_source_]->Poll(readings, lost).ok();
  bool read = false;
  for (const PowerReading& of : readings) {
    if (of.channel != primary_channel_) continue;
    power_->Add(of.seen_ns(), of.raw);
    read = true;
  }
  // What a source could not say is absent from the reading; an attempt would log why.
  if (!all_read && !read) return;
  reading.channel = power_->channel().name();
  reading.provenance = power_->channel().provenance();
  double sum = 0;
  const std::vector<PowerPoint> points = power_->Since(shown_until_ns_ + 1);
  for (const PowerPoint& point : points) sum += point.power_w;
  if (!points.empty()) {
    shown_w_ = sum / static_cast<double>(points.size());
    shown_until_ns_ = points.back().t_ns;
  }
  reading.power_w = shown_w_;
}

LiveReading HostProbe::Read() {
  const std::lock_guard lock(mutex_);
  LiveReading reading;
  reading.t_ns = BoottimeNs();
  ReadPower(reading);
  sensors_.Read([](std::size_t, std::int64_t) {});
  reading.temp_c = sensors_.hottest_c();
  reading.cpu_hz = sensors_.fastest_hz();
  const std::optional<CpuTimes> times = ReadCpuTimes(paths_);
  if (times && last_times_) reading.cpu_share = BusyShare(*last_times_, *times);
  last_times_ = times;
  return reading;
}

}  // namespace joulefarm::agent
