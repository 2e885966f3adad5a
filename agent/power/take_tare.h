// What a meter says while nothing draws power through it.
//
// Threads: one. Ownership: what is handed in is lent for the call.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/power/meter/model.h"
#include "agent/power/meter/settings.h"
#include "agent/power/metered_source.h"

namespace joulefarm::agent {

struct TareSamples {
  MeterTare tare;    // without taken_at
  double drift = 0;  // mean of the second half less that of the first, A or W
};

// Opens the meter and samples it for so long from its first sample on. A current, where every
// sample has one with a voltage (or no power); else, and of alternating current, a power.
// UNAVAILABLE: too few samples to tell; other errors are those of opening and talking.
absl::StatusOr<TareSamples> SampleTare(const MeterModel& model, const MeterSettings& settings,
                                       const MeteredSource::Opener& open, double seconds,
                                       const std::function<std::int64_t()>& now_ns);

// Why that is no tare, with what to do; empty: it is one. docs/meters.md has the limits.
std::string WhyNoTare(const MeterModel& model, const TareSamples& samples);

}  // namespace joulefarm::agent
