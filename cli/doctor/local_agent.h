// The joulefarm-agent program of this host, asked what it finds here. The CLI knows of it only its
// name and what it prints.
//
// Thread rule: one thread; blocks until the program has ended. Ownership: none; the program is
// killed when it takes longer than a minute.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace joulefarm::cli {

// Runs the joulefarm-agent beside this program, or else the first on `path` ($PATH), and returns
// what it wrote to stdout, whatever its exit code. NOT_FOUND: there is none. UNAVAILABLE: it cannot
// be run, or did not end.
absl::StatusOr<std::string> RunLocalAgent(const std::vector<std::string>& arguments,
                                          const std::string& path);

}  // namespace joulefarm::cli
