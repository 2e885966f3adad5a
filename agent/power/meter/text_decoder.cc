#include "agent/power/meter/text_decoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace joulefarm::agent {
namespace {

// No line of any of these programs is nearly as long; more without an end is none of theirs.
constexpr std::size_t kLongestLine = 16384;
constexpr std::size_t kShown = 60;

// Bytes that no line of text has. UTF-8 is text: what people write into names.
bool IsBinary(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return (value < 0x20 && byte != '\t') || value == 0x7F;
}

absl::Status CheckText(absl::string_view line) {
  const auto* const binary = std::find_if(line.begin(), line.end(), IsBinary);
  if (binary == line.end()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("byte ", binary - line.begin(), " of ", Shown(line),
                                          " is no text; is this another meter's protocol?"));
}

absl::Status TooLong() {
  return absl::DataLossError(absl::StrCat("a line of more than ", kLongestLine, " bytes"));
}

}  // namespace

absl::StatusOr<std::vector<MeterSample>> TextDecoder::Decode(Bytes bytes) {
  text_.append(bytes.begin(), bytes.end());
  absl::Status refused;
  std::size_t at = 0;
  while (refused.ok()) {
    const std::size_t end = text_.find('\n', at);
    if (end == std::string::npos) break;
    absl::string_view line = absl::string_view(text_).substr(at, end - at);
    while (absl::ConsumeSuffix(&line, "\r")) {
    }
    at = end + 1;
    if (std::exchange(refused_begin_, false) || line.empty()) continue;
    refused = line.size() > kLongestLine ? TooLong() : CheckText(line);
    if (refused.ok()) refused = Line(line, ready_);
  }
  text_.erase(0, at);
  if (refused.ok() && (refused_begin_ || text_.size() > kLongestLine)) {
    if (!std::exchange(refused_begin_, true)) refused = TooLong();
    text_.clear();
  }
  if (!refused.ok()) return refused;
  return std::exchange(ready_, {});
}

absl::StatusOr<std::vector<MeterSample>> TextDecoder::Finish() {
  if (!text_.empty() || refused_begin_) text_.push_back('\n');
  return Decode({});
}

void TextDecoder::Reset() {
  text_.clear();
  ready_.clear();
  refused_begin_ = false;
}

std::string Shown(absl::string_view text) {
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text.substr(0, kShown)),
                      text.size() > kShown ? "…" : "", "\"");
}

std::optional<double> Decimal(absl::string_view text) {
  const bool decimal = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+';
  });
  double value = 0;
  if (!decimal || !absl::SimpleAtod(text, &value) || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace joulefarm::agent
