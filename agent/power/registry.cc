#include "agent/power/registry.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/power/battery.h"
#include "agent/power/board_rails.h"
#include "agent/power/found_meters.h"
#include "agent/power/found_power.h"
#include "agent/power/hwmon_power.h"
#include "agent/power/odpm_rails.h"
#include "agent/power/rapl.h"

namespace joulefarm::agent {
namespace {

using Sources = absl::Span<const std::unique_ptr<PowerSource>>;

const v1::ChannelInfo* FindChannel(Sources sources, const std::string& name) {
  for (const std::unique_ptr<PowerSource>& source : sources) {
    for (const v1::ChannelInfo& channel : source->channels()) {
      if (channel.name() == name) return &channel;
    }
  }
  return nullptr;
}

// What is there that could be asked for, as text.
std::string NamesOf(Sources sources) {
  std::vector<std::string> names;
  for (const std::unique_ptr<PowerSource>& source : sources) {
    for (const v1::ChannelInfo& channel : source->channels()) names.push_back(channel.name());
  }
  return names.empty() ? "none" : absl::StrJoin(names, ", ");
}

// False: there is a total that is known to be one, or another rail that may as well be the whole.
bool RailIsAlone(const FoundPower& found) {
  if (found.totals.size() != 1) return false;
  std::ptrdiff_t rails = 0;
  for (const std::unique_ptr<PowerSource>& source : found.sources) {
    const std::vector<v1::ChannelInfo>& channels = source->channels();
    rails += std::count_if(channels.begin(), channels.end(), [](const v1::ChannelInfo& channel) {
      return channel.scope() == v1::SCOPE_BOARD_RAIL;
    });
  }
  return rails == 1;
}

// Totals, the strongest provenance and the widest first.
std::vector<std::string> Best(const FoundPower& found) {
  std::vector<std::tuple<v1::Provenance, Width, std::string>> order;
  for (const PowerTotal& total : found.totals) {
    const v1::ChannelInfo* channel = FindChannel(found.sources, total.channel);
    if (channel != nullptr) order.emplace_back(channel->provenance(), total.width, total.channel);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
  });
  if (!RailIsAlone(found))
    std::erase_if(order, [](const auto& total) { return std::get<1>(total) == Width::kRail; });
  std::vector<std::string> names;
  std::transform(order.begin(), order.end(), std::back_inserter(names),
                 [](const auto& total) { return std::get<2>(total); });
  return names;
}

std::vector<std::string> Rank(const PowerWish& wish, const PowerSettings& settings,
                              FoundPower& found) {
  const std::string& named = wish.channel.empty() ? settings.channel : wish.channel;
  std::vector<std::string> ranking = Best(found);
  // The meter that was named is not here: another channel in its place would pass for it.
  if (found.meter_missing) ranking.clear();
  if (!named.empty()) {
    const v1::ChannelInfo* channel = FindChannel(found.sources, named);
    ranking.clear();
    if (channel != nullptr) {
      ranking.push_back(named);
    } else if (named != kEstimatedChannel) {
      // Another channel in its place would pass for it.
      found.obstacles.push_back(
          absl::StrCat("power channel ", named, " was asked for by the ",
                       wish.channel.empty() ? "agent's configuration" : "experiment",
                       " and is not here; there are: ", NamesOf(found.sources)));
    }
  }
  std::vector<std::string> slow;
  std::erase_if(ranking, [&](const std::string& name) {
    const double hz = FindChannel(found.sources, name)->nominal_hz();
    if (hz >= wish.min_rate_hz) return false;
    slow.push_back(absl::StrCat(name, " (", hz, " Hz)"));
    return true;
  });
  if (!slow.empty()) {
    found.obstacles.push_back(
        absl::StrCat("slower than the ", wish.min_rate_hz,
                     " Hz that the experiment asks for: ", absl::StrJoin(slow, ", ")));
  }
  return ranking;
}

// What measures nothing and is there because the operator says so.
void AddConfigured(const HostPaths& paths, const PowerSettings& settings, FoundPower& found) {
  if (settings.simulated) {
    if (const absl::Status right = CheckSimulated(*settings.simulated); right.ok()) {
      found.sources.push_back(std::make_unique<SimulatedPower>(paths, *settings.simulated));
      found.totals.push_back({kSimulatedChannel, Width::kDevice});
    } else {
      found.obstacles.emplace_back(right.message());
    }
  }
  if (!settings.replay) return;
  absl::StatusOr<std::unique_ptr<ReplayPower>> replay = ReplayPower::Open(*settings.replay);
  if (replay.ok()) {
    found.sources.push_back(*std::move(replay));
    found.totals.push_back({kReplayChannel, Width::kDevice});
  } else {
    found.obstacles.emplace_back(replay.status().message());
  }
}

}  // namespace

PowerWish WishOf(const v1::JobSpec& spec) {
  return {
      .require = spec.power(), .channel = spec.power_channel(), .min_rate_hz = spec.min_rate_hz()};
}

PowerSelection SelectPower(const PowerWish& wish, const HostPaths& paths,
                           const PowerSettings& settings) {
  if (wish.require == v1::POWER_REQUIRE_NONE) return {};
  FoundPower found;
  found.names = {kEstimatedChannel, kSimulatedChannel, kReplayChannel};
  // A tree of files says nothing of what is plugged in here.
  if (paths.live() && !wish.no_meter) {
    AddMeters(FindMeters(settings.meter), settings.meter, wish.every_meter,
              wish.channel.empty() ? settings.channel : wish.channel, found);
  }
  FindBoardRails(paths, found);
  FindOdpm(paths, found);
  FindBatteries(paths, found);
  FindRapl(paths, found);
  FindHwmonPower(paths, found);
  // A tree of files says nothing of the GPUs of this host.
  if (paths.live()) FindNvml(settings.nvml, found);
  AddConfigured(paths, settings, found);
  PowerSelection selection;
  selection.totals = Best(found);
  selection.ranking = Rank(wish, settings, found);
  selection.ranking.push_back(kEstimatedChannel);
  selection.sources = std::move(found.sources);
  selection.obstacles = std::move(found.obstacles);
  selection.sources.push_back(std::make_unique<EstimatedPower>(paths, settings.estimate));
  return selection;
}

absl::Status CheckRequired(const PowerWish& wish, const PowerSelection& selection) {
  if (wish.require != v1::POWER_REQUIRE_REQUIRED) return absl::OkStatus();
  const v1::ChannelInfo* best =
      selection.ranking.empty() ? nullptr : FindChannel(selection.sources, selection.ranking[0]);
  if (best != nullptr && best->provenance() == v1::PROVENANCE_MEASURED) return absl::OkStatus();
  std::string text = "the experiment requires measured power, and nothing here measures it";
  absl::StrAppend(&text,
                  selection.obstacles.empty()
                      ? ": no power sensor was found (see `joulefarm-agent meters`)"
                      : ": ",
                  absl::StrJoin(selection.obstacles, "; "));
  return absl::FailedPreconditionError(text);
}

std::vector<v1::ChannelInfo> ListChannels(const PowerSelection& selection) {
  std::vector<v1::ChannelInfo> channels;
  for (const std::string& name : selection.ranking) {
    if (const v1::ChannelInfo* channel = FindChannel(selection.sources, name))
      channels.push_back(*channel);
  }
  if (!channels.empty()) channels[0].set_primary(true);
  for (const std::unique_ptr<PowerSource>& source : selection.sources) {
    for (const v1::ChannelInfo& channel : source->channels()) {
      const bool listed = std::find(selection.ranking.begin(), selection.ranking.end(),
                                    channel.name()) != selection.ranking.end();
      if (!listed) channels.push_back(channel);
    }
  }
  return channels;
}

std::optional<ChannelPlace> FindPrimary(absl::Span<const std::unique_ptr<PowerSource>> sources,
                                        absl::Span<const std::string> ranking) {
  for (const std::string& name : ranking) {
    for (std::size_t source = 0; source < sources.size(); ++source) {
      const std::vector<v1::ChannelInfo>& channels = sources[source]->channels();
      const auto channel =
          std::find_if(channels.begin(), channels.end(),
                       [&](const v1::ChannelInfo& info) { return info.name() == name; });
      if (channel != channels.end())
        return ChannelPlace{source, static_cast<int>(channel - channels.begin())};
    }
  }
  return std::nullopt;
}

}  // namespace joulefarm::agent
