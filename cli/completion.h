// Shell completion, made from the command line's own description: commands and options are those of
// this program, ids are asked of the controller when the user presses Tab.
//
// Thread rule: pure function. Ownership: values.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace CLI {  // NOLINT(readability-identifier-naming): not ours
class App;
}

namespace joulefarm::cli {

// The script for "bash", "zsh" or "fish". INVALID_ARGUMENT for another shell.
absl::StatusOr<std::string> CompletionScript(const CLI::App& root, absl::string_view shell);

}  // namespace joulefarm::cli
