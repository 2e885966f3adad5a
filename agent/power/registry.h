// Which power sources a host has, which of them an attempt samples, and which channel of them its
// results are reported from.
//
// Threads: any. Ownership: the caller gets the sources.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "agent/host/host_paths.h"
#include "agent/power/estimated.h"
#include "agent/power/power_source.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm::agent {

// What the operator states of a device's power.
struct PowerSettings {
  EstimateSettings estimate;
  // The channel results are reported from; empty: chosen by Ranking.
  std::string channel;
};

// What a job wants.
struct PowerWish {
  v1::PowerRequire require = v1::POWER_REQUIRE_OPTIONAL;
  std::string channel;  // wins over the operator's
  double min_rate_hz = 0;
};
PowerWish WishOf(const v1::JobSpec& spec);

struct PowerSelection {
  std::vector<std::unique_ptr<PowerSource>> sources;
  // Names of the energy channels, best first: results come from the first whose source works.
  std::vector<std::string> ranking;
  // Why sensors that are there cannot be used, each with its cure.
  std::vector<std::string> obstacles;
};

// Nothing at all where the job wants none: then nothing is declared and energy stays absent.
PowerSelection SelectPower(const PowerWish& wish, const HostPaths& paths,
                           const PowerSettings& settings);

struct ChannelPlace {
  std::size_t source = 0;
  int channel = 0;
};
// Where the best channel of the sources is; nullopt where they have none of the ranking.
std::optional<ChannelPlace> FindPrimary(absl::Span<const std::unique_ptr<PowerSource>> sources,
                                        absl::Span<const std::string> ranking);

}  // namespace joulefarm::agent
