// What a device does just now, for people who watch and for judging whether it has settled.
//
// Threads: values. Ownership: values. Stamps are CLOCK_BOOTTIME of this host, ns. What cannot be
// read is absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

struct LiveReading {
  std::int64_t t_ns = 0;
  // Mean of the energy channel results are reported from, over about the last second.
  std::optional<double> power_w;
  v1::Provenance provenance = v1::PROVENANCE_UNSPECIFIED;  // of power_w's channel
  v1::Scope scope = v1::SCOPE_UNSPECIFIED;                 // likewise
  std::string channel;                                     // its name; empty: there is none
  std::optional<double> temp_c;                            // of the hottest zone
  std::optional<double> cpu_hz;                            // of the fastest core
  std::optional<double> cpu_share;                         // of all cores, 0 to 1, likewise a mean
  std::optional<std::int64_t> rss_bytes;                   // of the engine's processes
};

// Mean power over a short time around its stamp, or a sample.
struct PowerPoint {
  std::int64_t t_ns = 0;
  double power_w = 0;
};

}  // namespace joulefarm::agent
