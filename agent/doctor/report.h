// What was found, as text for people and as JSON for the CLI.
//
// Thread rule: pure functions.
#pragma once

#include <string>

#include "agent/doctor/finding.h"

namespace joulefarm::agent {

// "ok     engine      llama.cpp 4589 at …", the cure on a line below.
std::string FindingsAsText(const Findings& findings);

// An array of {"level": "OK"|"WARNING"|"BROKEN", "area", "text", "cure"}, cure null when there is
// none; one object per line.
std::string FindingsAsJson(const Findings& findings);

// 3 when something is broken, else 0.
int ExitCodeOf(const Findings& findings);

}  // namespace joulefarm::agent
