// joulefarm-agent meters: what can measure power here, and what stands in the way of the rest.
//
// Threads: one. Ownership: the streams are borrowed for the call.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "agent/host/host_paths.h"
#include "agent/power/registry.h"

namespace joulefarm::agent {

// A channel that measures, and what it says now.
struct MeterNow {
  v1::ChannelInfo channel;  // primary: results are reported from it
  bool total = false;       // covers all that its kind of source sees
  std::optional<double> power_w;
  std::optional<double> power_u_w;  // standard uncertainty, where the source states one
  std::optional<double> energy_j;   // of counters
  std::optional<double> voltage_v;  // of voltages
  // The meter it comes from, and how that does; nullopt: a sensor of the host.
  std::optional<MeterReport> meter;
};

struct MetersReport {
  // Totals first, best first; parts follow what they are part of.
  std::vector<MeterNow> meters;
  std::vector<std::string> obstacles;
  // What results would come from if nothing measures.
  std::string fallback;
};

// Reads every channel once; counters twice, a quarter of a second apart, and meters for a second,
// or for two and a half of their periods where that gives nothing, where the host is alive.
MetersReport ReadMeters(const HostPaths& paths, const PowerSettings& settings);

// For people.
void WriteMetersTable(const MetersReport& report, std::ostream& out);
// An array of objects, one per channel; the obstacles are lines on `err`.
void WriteMetersJson(const MetersReport& report, std::ostream& out, std::ostream& err);

}  // namespace joulefarm::agent
