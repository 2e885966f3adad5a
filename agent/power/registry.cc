#include "agent/power/registry.h"

namespace joulefarm::agent {

std::vector<std::unique_ptr<PowerSource>> MakePowerSources(const v1::JobSpec& spec,
                                                           const HostPaths& paths,
                                                           const EstimateSettings& estimate) {
  std::vector<std::unique_ptr<PowerSource>> sources;
  if (spec.power() == v1::POWER_REQUIRE_NONE) return sources;
  sources.push_back(std::make_unique<EstimatedPower>(paths, estimate));
  return sources;
}

}  // namespace joulefarm::agent
