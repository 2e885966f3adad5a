// Remembers where each key and value of a file was written, so that checks made long after parsing
// can point there. A path is "workloads.chat.options.ctx" or "exclude[0].model"; "" is the root.
//
// Threads: const methods from any thread once filled. Ownership: values.
#pragma once

#include <string>
#include <unordered_map>

#include "absl/strings/string_view.h"
#include "common/config/diagnostics.h"

namespace joulefarm {

class SourceMap {
 public:
  SourceMap() = default;
  explicit SourceMap(absl::string_view file_name) : file_name_(file_name) {}

  const std::string& file_name() const { return file_name_; }

  // The position of a list's element counts as both its key's and its value's.
  void Add(std::string path, const SourcePosition& key, const SourcePosition& value);

  // Whether the file has the key at all, be it with an empty list or mapping.
  bool Has(absl::string_view path) const;

  // Of the key or its value; of the nearest enclosing one when this was not written.
  SourcePosition Key(absl::string_view path) const;
  SourcePosition Value(absl::string_view path) const;

 private:
  struct Place {
    SourcePosition key;
    SourcePosition value;
  };
  const Place* Nearest(absl::string_view path) const;

  std::string file_name_;
  std::unordered_map<std::string, Place> places_;
};

// "a" + "b" → "a.b"; "" + "b" → "b".
std::string JoinPath(absl::string_view path, absl::string_view key);
// "a" + 2 → "a[2]".
std::string JoinPath(absl::string_view path, size_t index);

}  // namespace joulefarm
