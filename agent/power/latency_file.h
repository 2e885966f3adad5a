// How late the stamps of this host's meters were found to be, in STATE/latencies.json.
//
// Threads: any; one writer at a time. Ownership: values.
#pragma once

#include <filesystem>

#include "absl/status/statusor.h"
#include "agent/power/meter/settings.h"

namespace joulefarm::agent {

std::filesystem::path LatencyFile(const std::filesystem::path& state_dir);

// No file is none. DATA_LOSS: it is damaged, and what to do.
absl::StatusOr<MeterLatencies> ReadLatencies(const std::filesystem::path& file);

// Makes its directory; durable when it returns OK, otherwise the old file is as it was.
absl::Status WriteLatencies(const std::filesystem::path& file, const MeterLatencies& latencies);

}  // namespace joulefarm::agent
