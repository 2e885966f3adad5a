#include "agent/power/registry.h"

#include <algorithm>

namespace joulefarm::agent {

PowerWish WishOf(const v1::JobSpec& spec) {
  return {
      .require = spec.power(), .channel = spec.power_channel(), .min_rate_hz = spec.min_rate_hz()};
}

PowerSelection SelectPower(const PowerWish& wish, const HostPaths& paths,
                           const PowerSettings& settings) {
  PowerSelection selection;
  if (wish.require == v1::POWER_REQUIRE_NONE) return selection;
  selection.sources.push_back(std::make_unique<EstimatedPower>(paths, settings.estimate));
  for (const v1::ChannelInfo& channel : selection.sources.back()->channels())
    selection.ranking.push_back(channel.name());
  return selection;
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
