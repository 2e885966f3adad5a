#include "agent/power/found_power.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/host/measured_channel.h"

namespace joulefarm::agent {

std::string FoundPower::Name(absl::string_view label, absl::string_view where) {
  std::string name(label);
  if (!names.insert(name).second) {
    name = absl::StrCat(label, "@", where);
    for (int i = 2; !names.insert(name).second; ++i) name = absl::StrCat(label, "@", where, ".", i);
  }
  return name;
}

void FoundPower::AddLoneRail(const std::string& channel) {
  totals.push_back({channel, Width::kRail});
  obstacles.push_back(absl::StrCat(
      "rail ", channel,
      ": not known to be the whole board, so results are reported from it only where nothing else "
      "measures; name it as power_channel in the agent's configuration to choose it"));
}

v1::ChannelInfo PowerChannel(std::string name, v1::Quantity quantity, double scale,
                             double nominal_hz, v1::Scope scope, std::string description) {
  v1::ChannelInfo channel =
      MeasuredChannel(std::move(name), quantity, scale, nominal_hz, std::move(description));
  channel.set_scope(scope);
  return channel;
}

}  // namespace joulefarm::agent
