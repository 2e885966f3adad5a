// Prompts of a workload: written out, from the built-in sets, or from a JSONL artifact.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm {

// Used by a workload without `prompts`.
inline constexpr char kDefaultPromptSet[] = "short";

// All prompts of one workload together: they travel in every job of it.
inline constexpr size_t kMaxPromptBytes = 1'048'576;

// "long", "mixed", "short".
std::vector<std::string> BuiltinPromptSets();

// nullptr for a name that is none of them.
const std::vector<std::string>* BuiltinPrompts(absl::string_view set);

// The "text" of each line's JSON object; blank lines are skipped. InvalidArgument names the line.
absl::StatusOr<std::vector<std::string>> PromptsFromJsonl(absl::string_view jsonl);

}  // namespace joulefarm
