// joulefarm-agent meters tare: takes, keeps and forgets what a meter says while nothing draws power
// through it.
//
// Threads: one. Ownership: what is handed in outlives the call.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>

#include "agent/power/found_meters.h"
#include "agent/power/meter/settings.h"
#include "agent/power/metered_source.h"

namespace joulefarm::agent {

struct TareRequest {
  std::string meter;  // as KeyOf or IdOf; empty: the only one
  double seconds = 10;
  bool force = false;
  bool clear = false;          // ClearTare is asked for
  std::filesystem::path file;  // TareFile of the agent's state directory
};

// What of the world it needs.
struct TareHooks {
  std::function<FoundMeters(const MeterConfig&)> find;
  std::function<MeteredSource::Opener(const FoundMeter&)> opener;
  std::function<std::int64_t()> now_ns;       // BOOTTIME
  std::function<std::int64_t()> wall_now_ns;  // since 1970
};
TareHooks RealTareHooks();

// The exit code: 0 it is kept, 1 it is not and `err` says why.
int TakeTare(const TareRequest& request, const MeterConfig& config, const TareHooks& hooks,
             std::ostream& out, std::ostream& err);

// The exit code: 0 it is forgotten, 1 there is none of that meter, or it stays, and why.
int ClearTare(const TareRequest& request, std::ostream& out, std::ostream& err);

}  // namespace joulefarm::agent
