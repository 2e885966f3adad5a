// Errors about a file a person wrote, collected so that one attempt shows them all:
// "file:line:column: what; what to do", or "--set key=value: what" for what the command line set.
//
// Threads: an instance belongs to one thread. Ownership: values.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace joulefarm {

// Where something was written. Lines and columns count from 1, columns in characters.
struct SourcePosition {
  int line = 1;
  int column = 1;
  std::string argument;  // "--set key=value" when it did not come from the file

  bool operator==(const SourcePosition&) const = default;
};

class Diagnostics {
 public:
  explicit Diagnostics(absl::string_view file_name) : file_name_(file_name) {}

  // `message` says what is wrong and, after a semicolon, what to do; without a full stop.
  void Add(const SourcePosition& position, absl::string_view message);

  bool empty() const { return count_ == 0; }
  // So many that further ones are only counted: their text need not be made.
  bool full() const;
  const std::string& file_name() const { return file_name_; }

  // "file:line:column", or the argument.
  std::string Where(const SourcePosition& position) const;

  // OK when nothing was added; else InvalidArgument with one line per error in the file's order,
  // ten at most and then how many more there are.
  absl::Status ToStatus() const;

 private:
  struct Entry {
    SourcePosition position;
    std::string message;
  };

  std::string file_name_;
  std::vector<Entry> entries_;
  size_t count_ = 0;
};

}  // namespace joulefarm
