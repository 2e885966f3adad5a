#include "common/config/suggest.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace joulefarm {
namespace {

constexpr size_t kLongestCompared = 64;
constexpr size_t kLongestQuoted = 60;

std::string Normalised(absl::string_view name) {
  std::string out = absl::AsciiStrToLower(name);
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

// Optimal string alignment distance.
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::optional<std::string> NearestName(absl::string_view wrong,
                                       const std::vector<std::string>& names) {
  if (wrong.empty() || wrong.size() > kLongestCompared) return std::nullopt;
  const std::string normal = Normalised(wrong);
  std::optional<std::string> best;
  // Replacing every character is no likeness.
  size_t best_distance = std::min(std::max<size_t>(1, wrong.size() / 3) + 1, wrong.size());
  for (const std::string& name : names) {
    if (name.size() > kLongestCompared) continue;
    const size_t distance = Distance(normal, Normalised(name));
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

std::string Suggestion(absl::string_view wrong, const std::vector<std::string>& names,
                       absl::string_view label, size_t shown) {
  if (names.empty()) return "";
  if (const auto near = NearestName(wrong, names)) {
    return absl::StrCat("; did you mean ", Quoted(*near), "?");
  }
  std::string out = absl::StrCat("; ", label, ": ");
  for (size_t i = 0; i < std::min(shown, names.size()); ++i) {
    absl::StrAppend(&out, i == 0 ? "" : ", ", names[i]);
  }
  if (names.size() > shown) absl::StrAppend(&out, ", and ", names.size() - shown, " more");
  return out;
}

std::string Quoted(absl::string_view text) {
  size_t cut = std::min(text.size(), kLongestQuoted);
  if (cut < text.size()) {
    // Not inside a UTF-8 sequence.
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
  }
  std::string out = "\"";
  for (const char c : text.substr(0, cut)) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      absl::StrAppend(&out, "\\x", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      out += c;
    }
  }
  return absl::StrCat(out, cut < text.size() ? "…\"" : "\"");
}

}  // namespace joulefarm
