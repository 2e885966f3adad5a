// What becomes of a latency that joulefarm-agent meters latency has found: it is kept for the
// meter, and used from then on.
//
// Threads: one. Ownership: what is handed in outlives the call.
#pragma once

#include <cstdint>
#include <filesystem>
#include <ostream>
#include <string>

#include "agent/commands/latency.h"
#include "agent/power/meter/report.h"

namespace joulefarm::agent {

struct KeepRequest {
  std::filesystem::path file;  // LatencyFile of the agent's state directory
  bool force = false;          // though it is not what is known of the meter
};

// The exit code: 0 it is kept, 1 it cannot be and `err` says why, 3 it disagrees with what is known
// of the meter and is not kept.
int KeepLatency(const LatencyReport& report, const MeterReport& meter, const KeepRequest& request,
                std::int64_t wall_now_ns, std::ostream& out, std::ostream& err);

// `meter`: its serial number or its id; empty: the only one of which there is one. The exit code: 0
// it is forgotten, 1 there is none of that meter, or it stays, and why.
int ClearLatency(const std::filesystem::path& file, const std::string& meter, std::ostream& out,
                 std::ostream& err);

}  // namespace joulefarm::agent
