// UTF-8 from files, engines and networks, which may be anything.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace joulefarm {

// U+FFFD.
inline constexpr char kUtf8Replacement[] = "\xEF\xBF\xBD";

// One code point at the front of the text. `length` is 0 when the first byte begins no valid
// sequence.
struct Utf8Code {
  char32_t code = 0;
  std::size_t length = 0;
};

// `text` has at least one byte.
Utf8Code DecodeUtf8(absl::string_view text);

// Valid UTF-8: each byte that belongs to no valid sequence becomes U+FFFD.
std::string CleanUtf8(absl::string_view text);

}  // namespace joulefarm
