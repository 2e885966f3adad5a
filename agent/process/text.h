// Makes what a program printed fit for a protobuf string: programs print anything, protobuf accepts
// only UTF-8.
//
// Threads: pure functions. Ownership: results own their strings.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace joulefarm::agent {

// So much of input that is wrong is shown in an error.
inline constexpr std::size_t kExcerptBytes = 300;

// `text` with every byte that is not part of valid UTF-8, and every control character but tab and
// newline, as "\xNN". At most `max_bytes` of input are used; what is left out is counted at the
// end.
std::string Printable(absl::string_view text, std::size_t max_bytes);

// The last `max_bytes` of `text`, beginning at a line's start where there is one, made printable.
std::string PrintableTail(absl::string_view text, std::size_t max_bytes);

}  // namespace joulefarm::agent
