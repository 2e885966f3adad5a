// The whole CLI as a function.
//
// Thread rule: one call at a time per console. Ownership: nothing kept.
#pragma once

#include <string>
#include <vector>

#include "cli/console.h"

namespace joulefarm::cli {

// Runs `joulefarm ARGUMENTS` (without the program's name) and returns the exit code of docs/cli.md.
int RunCli(const std::vector<std::string>& arguments, Console& console);

}  // namespace joulefarm::cli
