#include "common/experiment/selector.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/config/suggest.h"

namespace joulefarm {
namespace {

constexpr size_t kMaxBytes = 4096;

// Longer spellings first: ">=" begins with ">".
constexpr std::array<std::pair<absl::string_view, SelectorOp>, 6> kOps = {{
    {"!=", SelectorOp::kNotEqual},
    {">=", SelectorOp::kAtLeast},
    {"<=", SelectorOp::kAtMost},
    {">", SelectorOp::kGreater},
    {"<", SelectorOp::kLess},
    {"=", SelectorOp::kEqual},
}};

bool IsKeyCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' ||
         c == '/';
}

std::optional<double> AsNumber(absl::string_view text) {
  double value = 0;
  const bool begins_right =
      !text.empty() && text.find_first_not_of("0123456789+-.eE") == absl::string_view::npos;
  if (!begins_right || !absl::SimpleAtod(text, &value) || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

bool IsOrdering(SelectorOp op) { return op != SelectorOp::kEqual && op != SelectorOp::kNotEqual; }

class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  bool AtEnd() {
    SkipBlanks();
    return at_ == text_.size();
  }

  absl::StatusOr<Predicate> Next() {
    SkipBlanks();
    const size_t begin = at_;
    Predicate predicate;
    while (at_ < text_.size() && IsKeyCharacter(text_[at_])) ++at_;
    predicate.key = std::string(text_.substr(begin, at_ - begin));
    if (predicate.key.empty()) {
      return Error(begin, "a key was expected; write predicates such as os=linux");
    }
    SkipBlanks();
    const size_t op_at = at_;
    if (!TakeOp(&predicate.op)) {
      return Error(op_at, absl::StrCat("after ", Quoted(predicate.key),
                                       " one of = != >= <= > < was expected"));
    }
    SkipBlanks();
    const size_t value_at = at_;
    if (at_ < text_.size() && absl::StrContains("=!<>", text_.substr(at_, 1))) {
      return Error(value_at, "one operator too many; use one of = != >= <= > <");
    }
    const absl::Status status = TakeValue(&predicate.value);
    if (!status.ok()) return status;
    if (predicate.value.empty() && IsOrdering(predicate.op)) {
      return Error(value_at, "a number was expected after the operator");
    }
    predicate.number = AsNumber(predicate.value);
    if (IsOrdering(predicate.op) && !predicate.number.has_value()) {
      return Error(value_at, absl::StrCat(Quoted(predicate.value),
                                          " is not a number; texts compare with = and != only"));
    }
    predicate.text = std::string(absl::StripAsciiWhitespace(text_.substr(begin, at_ - begin)));
    return predicate;
  }

  // The comma before another predicate.
  absl::Status TakeComma() {
    SkipBlanks();
    if (at_ == text_.size()) return absl::OkStatus();
    if (text_[at_] != ',') {
      return Error(at_, "a comma was expected; quote a value that contains quotes or commas");
    }
    ++at_;
    if (AtEnd()) return Error(at_, "a predicate was expected after the comma");
    return absl::OkStatus();
  }

 private:
  absl::Status Error(size_t at, absl::string_view message) const {
    return absl::InvalidArgumentError(absl::StrCat("at character ", at + 1, ": ", message));
  }

  void SkipBlanks() {
    while (at_ < text_.size() && absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  bool TakeOp(SelectorOp* op) {
    for (const auto& [spelling, meaning] : kOps) {
      if (absl::StartsWith(text_.substr(at_), spelling)) {
        at_ += spelling.size();
        *op = meaning;
        return true;
      }
    }
    return false;
  }

  absl::Status TakeValue(std::string* value) {
    if (at_ < text_.size() && text_[at_] == '"') {
      const size_t close = text_.find('"', at_ + 1);
      if (close == absl::string_view::npos)
        return Error(at_, "the quote is never closed; add a \"");
      *value = std::string(text_.substr(at_ + 1, close - at_ - 1));
      at_ = close + 1;
      return absl::OkStatus();
    }
    const size_t end = std::min(text_.find(',', at_), text_.size());
    *value = std::string(absl::StripAsciiWhitespace(text_.substr(at_, end - at_)));
    at_ = end;
    return absl::OkStatus();
  }

  absl::string_view text_;
  size_t at_ = 0;
};

}  // namespace

bool Predicate::Matches(const Attributes& attributes) const {
  const auto it = attributes.find(key);
  if (it == attributes.end()) return false;
  const std::optional<double> theirs = number.has_value() ? AsNumber(it->second) : std::nullopt;
  const bool equal = theirs.has_value() ? *theirs == *number : it->second == value;
  switch (op) {
    case SelectorOp::kEqual:
      return equal;
    case SelectorOp::kNotEqual:
      return !equal;
    case SelectorOp::kAtLeast:
      return theirs.has_value() && *theirs >= *number;
    case SelectorOp::kAtMost:
      return theirs.has_value() && *theirs <= *number;
    case SelectorOp::kGreater:
      return theirs.has_value() && *theirs > *number;
    case SelectorOp::kLess:
      return theirs.has_value() && *theirs < *number;
  }
  return false;
}

absl::StatusOr<Selector> Selector::Parse(absl::string_view text) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("longer than ", kMaxBytes, " bytes; label the devices and select the label"));
  }
  Selector selector;
  Parser parser(text);
  while (!parser.AtEnd()) {
    auto predicate = parser.Next();
    if (!predicate.ok()) return predicate.status();
    selector.predicates_.push_back(*std::move(predicate));
    const absl::Status comma = parser.TakeComma();
    if (!comma.ok()) return comma;
  }
  return selector;
}

bool Selector::Matches(const Attributes& attributes) const {
  return FirstMismatch(attributes) == nullptr;
}

const Predicate* Selector::FirstMismatch(const Attributes& attributes) const {
  for (const Predicate& predicate : predicates_) {
    if (!predicate.Matches(attributes)) return &predicate;
  }
  return nullptr;
}

std::string Selector::ExplainMismatch(const Attributes& attributes) const {
  const Predicate* failed = FirstMismatch(attributes);
  if (failed == nullptr) return "";
  const auto it = attributes.find(failed->key);
  if (it != attributes.end()) {
    return absl::StrCat(failed->text, " (it is ", it->second.empty() ? "empty" : it->second, ")");
  }
  std::vector<std::string> keys;
  for (const auto& [key, value] : attributes) keys.push_back(key);
  const auto near = NearestName(failed->key, keys);
  return absl::StrCat(failed->text, " (the device has no ", failed->key,
                      near.has_value() ? absl::StrCat("; did you mean ", *near, "?") : "", ")");
}

}  // namespace joulefarm
