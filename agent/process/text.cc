#include "agent/process/text.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace joulefarm::agent {
namespace {

// Length of the valid UTF-8 sequence at the start of `text`, 0 when there is none.
std::size_t SequenceLength(absl::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const auto is_tail = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return is_tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (!is_tail(1) || !is_tail(2)) return 0;
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;  // longer than needed
    if (lead == 0xED && byte(1) > 0x9F) return 0;  // a surrogate
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (!is_tail(1) || !is_tail(2) || !is_tail(3)) return 0;
    if (lead == 0xF0 && byte(1) < 0x90) return 0;
    if (lead == 0xF4 && byte(1) > 0x8F) return 0;  // beyond U+10FFFF
    return 4;
  }
  return 0;
}

}  // namespace

std::string Printable(absl::string_view text, std::size_t max_bytes) {
  const absl::string_view used = text.substr(0, max_bytes);
  std::string out;
  out.reserve(used.size());
  for (std::size_t i = 0; i < used.size();) {
    const std::size_t length = SequenceLength(used.substr(i));
    const auto byte = static_cast<std::uint8_t>(used[i]);
    const bool control =
        length == 1 && (byte == 0x7F || (byte < 0x20 && byte != '\t' && byte != '\n'));
    if (length == 0 || control) {
      absl::StrAppend(&out, "\\x", absl::Hex(byte, absl::kZeroPad2));
      ++i;
    } else {
      absl::StrAppend(&out, used.substr(i, length));
      i += length;
    }
  }
  if (used.size() < text.size())
    absl::StrAppend(&out, " … (", text.size() - used.size(), " bytes more)");
  return out;
}

std::string PrintableTail(absl::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes) {
    text.remove_prefix(text.size() - max_bytes);
    const std::size_t newline = text.find('\n');
    if (newline != absl::string_view::npos && newline + 1 < text.size())
      text.remove_prefix(newline + 1);
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  return Printable(text, text.size());
}

}  // namespace joulefarm::agent
