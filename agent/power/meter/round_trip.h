// Why a reply that came late is refused: a stamp is the middle of its round trip, and off by up to
// half of it.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"

namespace joulefarm::agent {

inline std::string LongRoundTrip(std::int64_t took_ns, std::int64_t most_ns) {
  return absl::StrFormat("a round trip took %.7g ms, more than %.7g ms",
                         static_cast<double>(took_ns) * 1e-6, static_cast<double>(most_ns) * 1e-6);
}

}  // namespace joulefarm::agent
