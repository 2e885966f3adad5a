// A YAML document as a tree that knows where everything was written. Stricter than YAML: one
// document, UTF-8, no aliases, anchors or tags, no duplicate keys, keys are text, bounded in size,
// depth and number of values. yaml-cpp does the scanning and is seen in the .cc only.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/config/diagnostics.h"

namespace joulefarm {

inline constexpr size_t kMaxYamlBytes = 1'048'576;
inline constexpr size_t kMaxYamlDepth = 32;
inline constexpr size_t kMaxYamlValues = 200'000;

enum class YamlKind {
  kNull,
  kScalar,
  kSequence,
  kMap,
  kRefused,  // stands where an alias was; its error is already among the diagnostics
};

enum class ScalarStyle {
  kPlain,
  kQuoted,  // '…', "…", | or >: text whatever it looks like
};

struct YamlEntry;

struct YamlNode {
  YamlKind kind = YamlKind::kNull;
  ScalarStyle style = ScalarStyle::kPlain;
  std::string text;                // kScalar
  std::vector<YamlNode> items;     // kSequence
  std::vector<YamlEntry> entries;  // kMap, in the file's order
  SourcePosition position;
};

struct YamlEntry {
  std::string key;
  SourcePosition key_position;
  YamlNode value;
};

// nullopt when there is no document to go on with: a syntax error, too much of something, or
// nothing but comments (that alone adds no error). What is refused but can be skipped (duplicate
// keys, aliases, anchors, tags) adds an error and leaves a tree. Never throws.
std::optional<YamlNode> ParseYamlTree(absl::string_view text, Diagnostics* diagnostics);

// Changes the tree as "key.key=value" says: the value is YAML ("[1, 2]", "30s"; nothing at all is
// the empty text), missing mappings on the way are made. Later errors about the value name the
// argument as "--set key.key=value". Keys with dots are found when they exist.
void ApplySet(absl::string_view assignment, YamlNode* root, Diagnostics* diagnostics);

}  // namespace joulefarm
