// "Did you mean …?": the nearest of the right names to a wrong one.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace joulefarm {

// The name with the fewest edits (insert, delete, replace, swap neighbours), if it is near enough
// to be meant: at most a third of the length, and at least one, edits. Case and '-' against '_'
// count as no edit. The first of equally near ones.
std::optional<std::string> NearestName(absl::string_view wrong,
                                       const std::vector<std::string>& names);

// "; did you mean \"x\"?" when one is near, else "; <label>: a, b, c" with at most `shown` names
// and then how many more, else (no names) "".
std::string Suggestion(absl::string_view wrong, const std::vector<std::string>& names,
                       absl::string_view label, size_t shown = 24);

// A text in quotes, as error messages show what somebody wrote: shortened past 60 bytes, control
// characters escaped.
std::string Quoted(absl::string_view text);

}  // namespace joulefarm
