// Durations as people write them in files and flags.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm {

// "250ms", "30s", "1.5s", "10m", "24h", "1h30m", "0s" → nanoseconds, never negative. Units h, m, s,
// ms, us, ns, each at most once and from large to small; every number has one. InvalidArgument
// (what was found and what a duration looks like) otherwise, also past 292 years.
absl::StatusOr<std::int64_t> ParseDuration(absl::string_view text);

// The shortest text that ParseDuration reads as the same number: "1h30m", "250ms", "0s". Negative
// ones get a leading "-".
std::string FormatDuration(std::int64_t duration_ns);

}  // namespace joulefarm
