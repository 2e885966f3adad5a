// A small program that is run to its end for what it prints.
//
// Threads: any, one at a time per call (see ChildProcess). Ownership: none.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/process/process_journal.h"

namespace joulefarm::agent {

// What it printed. It is not broken off by a stop, because what it changed has to be known; after
// half a minute it is killed. With a journal, the next agent process ends what a crash left of it.
// FAILED_PRECONDITION: it failed, and with what words;
// DEADLINE_EXCEEDED; NOT_FOUND and PERMISSION_DENIED as of ChildProcess::Start.
absl::StatusOr<std::string> RunTool(std::vector<std::string> argv,
                                    ProcessJournal* journal = nullptr);

}  // namespace joulefarm::agent
