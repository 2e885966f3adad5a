// JSON string literals.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace joulefarm {

// A quoted JSON string; invalid UTF-8 is replaced by U+FFFD.
std::string JsonString(absl::string_view text);

// The form that hashes of experiments are made of: every control character by its number, bytes as
// they are. It must never change.
std::string HashedJsonString(absl::string_view text);

}  // namespace joulefarm
