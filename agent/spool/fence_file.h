// The high-water fences in a small file of their own, so that they outlive a damaged spool: one
// line "FENCE DEVICE" per device, replaced as a whole.
//
// Thread rule: one thread at a time. Ownership: none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "absl/status/status.h"

namespace joulefarm::agent {

// Lines that make no sense are passed over; no file is no fences.
std::map<std::string, std::int64_t> ReadFenceFile(const std::filesystem::path& path);

// Durable when it returns OK; otherwise the old file is as it was.
absl::Status WriteFenceFile(const std::filesystem::path& path,
                            const std::map<std::string, std::int64_t>& fences);

}  // namespace joulefarm::agent
