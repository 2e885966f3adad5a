// Cutting typed text into SQL statements.
//
// Thread rule: one thread. Ownership: values.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace joulefarm::cli {

// Collects text and gives statements that end with `;` outside quotes and comments.
class StatementReader {
 public:
  // More text, usually a line with its line break.
  void Add(absl::string_view text);
  // The next complete statement with its `;`, comments kept, surrounding blanks removed; never one
  // of blanks and comments only.
  std::optional<std::string> Next();
  // What is left at the end of input, without `;`; absent when only blanks and comments are.
  std::optional<std::string> Rest();
  // Whether a statement has begun.
  bool Pending() const;

 private:
  std::string text_;
};

}  // namespace joulefarm::cli
