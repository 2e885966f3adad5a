// The tares of this host's meters, in STATE/tares.json.
//
// Threads: any; one writer at a time. Ownership: values.
#pragma once

#include <filesystem>

#include "absl/status/statusor.h"
#include "agent/power/meter/settings.h"

namespace joulefarm::agent {

std::filesystem::path TareFile(const std::filesystem::path& state_dir);

// No file is no tares. DATA_LOSS: it is damaged, and what to do.
absl::StatusOr<MeterTares> ReadTares(const std::filesystem::path& file);

// Makes its directory; durable when it returns OK, otherwise the old file is as it was.
absl::Status WriteTares(const std::filesystem::path& file, const MeterTares& tares);

}  // namespace joulefarm::agent
