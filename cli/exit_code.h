// What a command ends with, and how errors are told.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace joulefarm::cli {

enum ExitCode : int {
  kExitOk = 0,            // every job SUCCEEDED, or the command did what it was asked
  kExitJobFailed = 1,     // some job ended otherwise, or what was checked is not so
  kExitUsage = 2,         // usage, invalid file, unsatisfiable, not found
  kExitInfra = 3,         // connection or infrastructure
  kExitTimeout = 4,       // --timeout passed; jobs go on
  kExitInterrupted = 130  // Ctrl-C; jobs go on
};

// OK → 0; what the operator can put right → 2; CANCELLED → 130; everything else → 3.
ExitCode ExitCodeOf(const absl::Status& status);

// Whether a later try may succeed: the controller is down, restarting or busy.
bool IsTransient(const absl::Status& status);

// The lines to print for an error of a call to the controller at `address`, without "error: ".
std::string Explain(const absl::Status& status, absl::string_view address);

}  // namespace joulefarm::cli
