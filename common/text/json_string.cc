#include "common/text/json_string.h"

#include "absl/strings/str_cat.h"
#include "common/text/utf8.h"

namespace joulefarm {
namespace {

// \n and \t as people know them, or all control characters by number.
enum class Controls { kNamed, kNumbered };

void AppendEscaped(char c, Controls controls, std::string& out) {
  const auto byte = static_cast<unsigned char>(c);
  if (c == '"' || c == '\\') {
    out += {'\\', c};
  } else if (controls == Controls::kNamed && c == '\n') {
    out += "\\n";
  } else if (controls == Controls::kNamed && c == '\r') {
    out += "\\r";
  } else if (controls == Controls::kNamed && c == '\t') {
    out += "\\t";
  } else if (byte < 0x20 || (controls == Controls::kNumbered && byte == 0x7F)) {
    absl::StrAppend(&out, "\\u", absl::Hex(byte, absl::kZeroPad4));
  } else {
    out += c;
  }
}

std::string Literal(absl::string_view text, Controls controls) {
  std::string out = "\"";
  out.reserve(text.size() + 2);
  for (const char c : text) AppendEscaped(c, controls, out);
  return out += '"';
}

}  // namespace

std::string JsonString(absl::string_view text) {
  return Literal(CleanUtf8(text), Controls::kNamed);
}

std::string HashedJsonString(absl::string_view text) { return Literal(text, Controls::kNumbered); }

}  // namespace joulefarm
