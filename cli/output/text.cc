#include "cli/output/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/text/utf8.h"

namespace joulefarm::cli {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

template <std::size_t N>
bool InRanges(char32_t code, const std::array<Range, N>& ranges) {
  for (const Range& range : ranges) {
    if (code >= range.first && code <= range.last) return true;
  }
  return false;
}

int CodeWidth(char32_t code) {
  // The blocks of combining marks and of wide characters that names and log lines meet in practice.
  static constexpr std::array<Range, 8> kZero{{{0x0300, 0x036F},
                                               {0x1AB0, 0x1AFF},
                                               {0x1DC0, 0x1DFF},
                                               {0x200B, 0x200F},
                                               {0x2060, 0x2064},
                                               {0x20D0, 0x20FF},
                                               {0xFE00, 0xFE0F},
                                               {0xFE20, 0xFE2F}}};
  static constexpr std::array<Range, 9> kWide{{{0x1100, 0x115F},
                                               {0x2E80, 0x303E},
                                               {0x3041, 0xA4CF},
                                               {0xAC00, 0xD7A3},
                                               {0xF900, 0xFAFF},
                                               {0xFE30, 0xFE6F},
                                               {0xFF00, 0xFF60},
                                               {0x1F300, 0x1FAFF},
                                               {0x20000, 0x3FFFD}}};
  if (InRanges(code, kZero)) return 0;
  return InRanges(code, kWide) ? 2 : 1;
}

enum class LineBreaks { kKeep, kEscape };

std::string Clean(absl::string_view text, LineBreaks breaks) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Code decoded = DecodeUtf8(text);
    if (decoded.length == 0) {
      out += kUtf8Replacement;
      text.remove_prefix(1);
      continue;
    }
    const char32_t code = decoded.code;
    if (code == '\n') {
      out += breaks == LineBreaks::kKeep ? "\n" : "\\n";
    } else if (code == '\t') {
      out += breaks == LineBreaks::kKeep ? "  " : "\\t";
    } else if (code == '\r') {
      out += breaks == LineBreaks::kKeep ? "" : "\\r";
    } else if (code < 0x20 || (code >= 0x7F && code < 0xA0)) {
      out += absl::StrCat("\\x", absl::Hex(static_cast<unsigned>(code), absl::kZeroPad2));
    } else {
      out.append(text.data(), decoded.length);
    }
    text.remove_prefix(decoded.length);
  }
  return out;
}

std::string Fixed(double value, int decimals) {
  std::array<char, 400> buffer{};
  const int written = std::snprintf(buffer.data(), buffer.size(), "%.*f", decimals, value);
  return {buffer.data(), static_cast<std::size_t>(written)};
}

std::string Exponent(double value, int digits) {
  std::array<char, 64> buffer{};
  const int written = std::snprintf(buffer.data(), buffer.size(), "%.*g", digits, value);
  return {buffer.data(), static_cast<std::size_t>(written)};
}

// Decimal exponent of the value rounded to `digits` significant digits (9.99 with two digits is 10:
// exponent 1).
int DecimalExponent(double value, int digits) {
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.*e", digits - 1, value);
  const absl::string_view text(buffer.data());
  return std::atoi(buffer.data() + text.find('e') + 1);
}

}  // namespace

std::string OneLine(absl::string_view text) { return Clean(text, LineBreaks::kEscape); }

std::string CleanLines(absl::string_view text) { return Clean(text, LineBreaks::kKeep); }

int DisplayWidth(absl::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const Utf8Code decoded = DecodeUtf8(text);
    width += decoded.length == 0 ? 1 : CodeWidth(decoded.code);
    text.remove_prefix(decoded.length == 0 ? 1 : decoded.length);
  }
  return width;
}

std::string Clip(absl::string_view text, int width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  std::string out;
  int used = 0;
  while (!text.empty()) {
    const Utf8Code decoded = DecodeUtf8(text);
    const std::size_t length = decoded.length == 0 ? 1 : decoded.length;
    const int step = decoded.length == 0 ? 1 : CodeWidth(decoded.code);
    if (used + step > width - 1) break;
    out.append(text.data(), length);
    used += step;
    text.remove_prefix(length);
  }
  return out + "…";
}

std::string ClipMiddle(absl::string_view text, int width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  std::string head = Clip(text, std::max(1, width - width / 2));
  const int room = width - DisplayWidth(head);
  std::size_t begin = 0;
  while (DisplayWidth(text.substr(begin)) > room) {
    const Utf8Code decoded = DecodeUtf8(text.substr(begin));
    begin += decoded.length == 0 ? 1 : decoded.length;
  }
  return absl::StrCat(head, text.substr(begin));
}

std::vector<std::string> WrapWords(absl::string_view text, int width) {
  if (width <= 0) return {std::string(text)};
  std::vector<std::string> lines(1);
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (!lines.back().empty() && DisplayWidth(lines.back()) + 1 + DisplayWidth(word) > width)
      lines.emplace_back();
    absl::StrAppend(&lines.back(), lines.back().empty() ? "" : " ", word);
  }
  return lines;
}

std::string SignificantReal(double value, int digits) {
  if (!std::isfinite(value)) return ShortestReal(value);
  if (value == 0) return "0";
  const int exponent = DecimalExponent(value, digits);
  if (exponent < -4 || exponent >= 15) return Exponent(value, digits);
  return Fixed(value, std::max(0, digits - 1 - exponent));
}

std::string PlainReal(double value) {
  std::string text = SignificantReal(value, 6);
  if (text.find('e') != std::string::npos || text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string WithUncertainty(double value, std::optional<double> uncertainty) {
  if (!uncertainty || !std::isfinite(*uncertainty) || *uncertainty <= 0 || !std::isfinite(value)) {
    return SignificantReal(value, 3);
  }
  const int exponent = DecimalExponent(*uncertainty, 2);
  if (exponent < -7 || exponent >= 15) {
    return absl::StrCat(Exponent(value, 3), " ± ", Exponent(*uncertainty, 2));
  }
  const int decimals = std::max(0, 1 - exponent);
  return absl::StrCat(Fixed(value, decimals), " ± ", Fixed(*uncertainty, decimals));
}

std::string HumanCount(std::int64_t count) {
  static constexpr std::array<const char*, 5> kSteps{"", " k", " M", " B", " T"};
  double value = static_cast<double>(count);
  std::size_t step = 0;
  while (value >= 999.5 && step + 1 < kSteps.size()) {
    value /= 1000;
    ++step;
  }
  if (step == 0) return absl::StrCat(count);
  return absl::StrCat(SignificantReal(value, 3), kSteps[step]);
}

std::string ShortTime(absl::string_view rfc3339) {
  // 2026-11-21T11:09:33 is 19 characters; only UTC is shortened, so that no offset is lost.
  if (rfc3339.size() < 20 || rfc3339[10] != 'T' || rfc3339.back() != 'Z')
    return std::string(rfc3339);
  return absl::StrCat(rfc3339.substr(0, 10), " ", rfc3339.substr(11, 8));
}

std::string PlainText(const Value& value) {
  struct Visitor {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(std::int64_t number) const { return absl::StrCat(number); }
    std::string operator()(double number) const { return ShortestReal(number); }
    std::string operator()(bool truth) const { return truth ? "true" : "false"; }
    std::string operator()(const Blob& blob) const { return absl::BytesToHexString(blob.bytes); }
  };
  return std::visit(Visitor{}, value);
}

}  // namespace joulefarm::cli
