// Running SQL statements one after another and showing their answers; the prompt of `joulefarm
// sql`.
//
// Thread rule: one thread. Ownership: nothing kept.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "cli/output/printer.h"
#include "cli/session.h"

namespace joulefarm::cli {

// Answers one statement: through the controller or from a file.
using RunStatement = std::function<absl::Status(const std::string& statement, TableSink& sink)>;

// Runs every statement of a text and shows the answers; stops at the first error. Returns the exit
// code: errors of a query are the asker's (2), past a cap or a time limit as well.
int RunStatements(Session& session, const RunStatement& run, const std::string& text,
                  Format format);

// Reads statements up to `;` from the console's in and runs them. On a terminal with a prompt,
// where errors do not end it and .help, .tables, .schema and .quit are understood; from a pipe
// silently, ending at the first error.
int RunPrompt(Session& session, const RunStatement& run, Format format, const std::string& where);

}  // namespace joulefarm::cli
