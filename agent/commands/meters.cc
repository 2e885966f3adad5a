#include "agent/commands/meters.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "agent/commands/live_readings.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kBetweenReadingsNs = 250'000'000;
// Long enough for the rate of a meter.
constexpr std::int64_t kOfMetersNs = 1'000'000'000;

// raw * scale; a scale that is a power of ten gives the number that people would write.
double Value(std::int64_t raw, double scale) {
  const double steps = std::round(1 / scale);
  const bool whole = steps >= 1 && std::abs(1 / scale - steps) < 1e-6 * steps;
  return whole ? static_cast<double>(raw) / steps : static_cast<double>(raw) * scale;
}

void Fill(const LiveReadings& before, const LiveReadings& after, MeterNow& meter) {
  const v1::ChannelInfo& channel = meter.channel;
  const auto now = after.find(channel.name());
  if (now == after.end()) return;
  const double value = Value(now->second.raw, channel.scale());
  if (channel.quantity() == v1::QUANTITY_VOLTAGE_V) {
    meter.voltage_v = value;
  } else if (channel.quantity() != v1::QUANTITY_ENERGY_COUNTER_J) {
    meter.power_w = value;
  } else {
    meter.energy_j = value;
    const auto first = before.find(channel.name());
    // A counter that stands still is one of a tree somebody sent, not one of a device without
    // power.
    if (first != before.end() && now->second.raw > first->second.raw) {
      meter.power_w = static_cast<double>(now->second.raw - first->second.raw) * channel.scale() /
                      (static_cast<double>(now->second.t_ns - first->second.t_ns) * 1e-9);
    }
  }
  // A counter has no zero; of power, half of the uncertainty would look like all of it.
  const bool counter = channel.quantity() == v1::QUANTITY_ENERGY_COUNTER_J;
  if (!meter.power_w || !channel.has_gain_u() || (!counter && !channel.has_offset_u())) return;
  meter.power_u_w = std::hypot(channel.gain_u() * *meter.power_w, channel.offset_u());
}

// Appends the channel and, below it, its parts.
void AppendTree(const std::vector<v1::ChannelInfo>& channels, const v1::ChannelInfo& root,
                std::vector<v1::ChannelInfo>& ordered) {
  ordered.push_back(root);
  for (const v1::ChannelInfo& channel : channels) {
    if (channel.parent() == root.name()) AppendTree(channels, channel, ordered);
  }
}

std::vector<v1::ChannelInfo> Ordered(const PowerSelection& selection) {
  std::vector<v1::ChannelInfo> channels = ListChannels(selection);
  std::erase_if(channels, [](const v1::ChannelInfo& channel) {
    return channel.provenance() == v1::PROVENANCE_ESTIMATED;
  });
  std::vector<v1::ChannelInfo> ordered;
  for (const v1::ChannelInfo& channel : channels) {
    if (channel.parent().empty()) AppendTree(channels, channel, ordered);
  }
  return ordered;
}

// Those that work; why a meter does not is told.
void Start(PowerSelection& selection) {
  std::erase_if(selection.sources, [&](const std::unique_ptr<PowerSource>& source) {
    const absl::Status started = source->Start();
    if (started.ok()) return false;
    if (source->Meter()) selection.obstacles.emplace_back(started.message());
    return source->channels()[0].provenance() != v1::PROVENANCE_ESTIMATED;
  });
}

std::map<std::string, MeterReport> MetersOf(const PowerSelection& selection) {
  std::map<std::string, MeterReport> meters;
  for (const std::unique_ptr<PowerSource>& source : selection.sources) {
    for (const v1::ChannelInfo& channel : source->channels()) {
      if (const std::optional<MeterReport> meter = source->Meter()) meters[channel.name()] = *meter;
    }
  }
  return meters;
}

}  // namespace

MetersReport ReadMeters(const HostPaths& paths, const PowerSettings& settings) {
  PowerWish wish;
  wish.every_meter = true;
  PowerSelection selection = SelectPower(wish, paths, settings);
  Start(selection);
  const std::vector<v1::ChannelInfo> channels = Ordered(selection);
  MetersReport report;
  report.obstacles = selection.obstacles;
  for (const v1::ChannelInfo& channel : ListChannels(selection)) {
    if (channel.primary() && channel.provenance() != v1::PROVENANCE_MEASURED)
      report.fallback = channel.name();
  }
  const bool counters =
      std::any_of(channels.begin(), channels.end(), [](const v1::ChannelInfo& channel) {
        return channel.quantity() == v1::QUANTITY_ENERGY_COUNTER_J;
      });
  const bool meters =
      std::any_of(selection.sources.begin(), selection.sources.end(),
                  [](const std::unique_ptr<PowerSource>& source) { return source->buffered(); });
  LiveReadings before;
  const bool twice = (counters || meters) && paths.live();
  if (twice) before = Look(selection.sources);
  const LiveReadings after =
      twice ? LookFor(selection.sources, meters ? kOfMetersNs : kBetweenReadingsNs, RealTime())
            : Look(selection.sources);
  const std::map<std::string, MeterReport> reports = MetersOf(selection);
  for (const v1::ChannelInfo& channel : channels) {
    MeterNow& meter = report.meters.emplace_back();
    meter.channel = channel;
    meter.total = std::find(selection.totals.begin(), selection.totals.end(), channel.name()) !=
                  selection.totals.end();
    Fill(before, after, meter);
    if (const auto found = reports.find(channel.name()); found != reports.end())
      meter.meter = found->second;
  }
  return report;
}

}  // namespace joulefarm::agent
