#include "cli/sql/statements.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace joulefarm::cli {
namespace {

// Where the piece of SQL that begins at `at` ends: a quoted text, a comment, or one character.
// `text.size()` when it does not end.
std::size_t EndOfPiece(absl::string_view text, std::size_t at) {
  const auto after = [&](absl::string_view close, std::size_t from) {
    const std::size_t found = text.find(close, from);
    return found == absl::string_view::npos ? text.size() : found + close.size();
  };
  const char c = text[at];
  // A doubled quote inside a text ends one piece and begins the next, which comes to the same.
  if (c == '\'' || c == '"' || c == '`') return after(absl::string_view(&text[at], 1), at + 1);
  if (c == '[') return after("]", at + 1);
  if (text.substr(at, 2) == "--") return after("\n", at + 2);
  if (text.substr(at, 2) == "/*") return after("*/", at + 2);
  return at + 1;
}

bool IsComment(absl::string_view text, std::size_t at) {
  return text.substr(at, 2) == "--" || text.substr(at, 2) == "/*";
}

// Whether there is anything but blanks, comments and semicolons.
bool HasSql(absl::string_view text) {
  for (std::size_t at = 0; at < text.size(); at = EndOfPiece(text, at)) {
    if (!IsComment(text, at) && text[at] != ';' &&
        !absl::ascii_isspace(static_cast<unsigned char>(text[at])))
      return true;
  }
  return false;
}

std::string Trimmed(absl::string_view text) {
  return std::string(absl::StripAsciiWhitespace(text));
}

}  // namespace

void StatementReader::Add(absl::string_view text) { absl::StrAppend(&text_, text); }

std::optional<std::string> StatementReader::Next() {
  std::size_t at = 0;
  while (at < text_.size()) {
    if (text_[at] != ';') {
      at = EndOfPiece(text_, at);
      continue;
    }
    const std::string statement = text_.substr(0, at + 1);
    text_.erase(0, at + 1);
    if (HasSql(statement)) return Trimmed(statement);
    at = 0;
  }
  return std::nullopt;
}

std::optional<std::string> StatementReader::Rest() {
  const std::string rest = text_;
  text_.clear();
  if (!HasSql(rest)) return std::nullopt;
  return Trimmed(rest);
}

bool StatementReader::Pending() const { return HasSql(text_); }

}  // namespace joulefarm::cli
