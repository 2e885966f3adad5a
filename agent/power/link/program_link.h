// A program whose lines are a meter's: one that goes on printing, or one that is run for every
// reading.
//
// Threads: one, which must live at least as long as the program runs (see ChildProcess); its output
// is read by a thread of its own. Ownership: owns the program with all that it starts; the journal
// outlives it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/power/link/link.h"
#include "agent/process/process_journal.h"

namespace joulefarm::agent {

// Nothing runs yet. Write ends what still runs and starts the program anew; its bytes must be
// empty, for the program's input is. Read returns one line with its line feed, arrived_ns when the
// pipe gave it; what the program says on stderr is only quoted in errors. Besides a link's errors:
//   Write: FAILED_PRECONDITION, there is no such program, and what to do; RESOURCE_EXHAUSTED and
//     the like of the journal.
//   Read, once for each run, after its last line: OUT_OF_RANGE, it ended well; UNAVAILABLE, it
//     failed, and with what words. Without a running program it waits out its time.
// `journal` may be null: then nobody ends what a crash of this process leaves of the program's own
// children (the program itself the kernel kills).
std::unique_ptr<Link> MakeProgramLink(std::vector<std::string> argv, ProcessJournal* journal);

// Where such a program is, as Write would look for it; NOT_FOUND and PERMISSION_DENIED with what to
// do.
absl::Status CheckProgram(const std::string& name);

}  // namespace joulefarm::agent
