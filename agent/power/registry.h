// Which power sources a host has, which of them an attempt samples, and which channel of them its
// results are reported from.
//
// Threads: any. Ownership: the caller gets the sources.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "agent/host/host_paths.h"
#include "agent/power/estimated.h"
#include "agent/power/meter/settings.h"
#include "agent/power/nvml.h"
#include "agent/power/power_source.h"
#include "agent/power/replay.h"
#include "agent/power/simulated.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm::agent {

// What the operator states of a device's power.
struct PowerSettings {
  EstimateSettings estimate = {};
  // The channel results are reported from; empty: chosen by Ranking.
  std::string channel = {};
  NvmlSettings nvml = {};
  // For trying out; results come from them only where nothing measures or they are named.
  std::optional<SimulatedSettings> simulated = std::nullopt;
  std::optional<ReplaySettings> replay = std::nullopt;
  MeterConfig meter = {};
};

// What a job wants.
struct PowerWish {
  v1::PowerRequire require = v1::POWER_REQUIRE_OPTIONAL;
  std::string channel = {};  // wins over the operator's
  double min_rate_hz = 0;
  // Every meter that is here, not only that of the device: to look at them.
  bool every_meter = false;
  // None of them.
  bool no_meter = false;
};
PowerWish WishOf(const v1::JobSpec& spec);

struct PowerSelection {
  std::vector<std::unique_ptr<PowerSource>> sources;
  // Channels that results may be reported from, best first: they come from the first whose source
  // works. `estimated` is the last.
  std::vector<std::string> ranking;
  // Channels that cover all that their kind of source sees, chosen or not.
  std::vector<std::string> totals;
  // Why sensors that are there cannot be used, each with its cure.
  std::vector<std::string> obstacles;
};

// Looks around and chooses. The meter of the device comes first: the one that the operator names,
// or the only one there. What measures comes before what is modelled, and that before the
// estimate; of two that measure, the one that covers more of the device. A channel asked for by
// name, and else the rate asked for, leaves nothing but it and the estimate. Nothing at all where
// the job wants none: then nothing is declared and energy stays absent.
PowerSelection SelectPower(const PowerWish& wish, const HostPaths& paths,
                           const PowerSettings& settings);

// FAILED_PRECONDITION where the wish requires power and the best channel does not measure; says
// what stands in the way.
absl::Status CheckRequired(const PowerWish& wish, const PowerSelection& selection);

// The channels of all sources, those of the ranking first; `primary` is set on the best.
std::vector<v1::ChannelInfo> ListChannels(const PowerSelection& selection);

struct ChannelPlace {
  std::size_t source = 0;
  int channel = 0;
};
// Where the best channel of the sources is; nullopt where they have none of the ranking.
std::optional<ChannelPlace> FindPrimary(absl::Span<const std::unique_ptr<PowerSource>> sources,
                                        absl::Span<const std::string> ranking);

}  // namespace joulefarm::agent
