// Turns yaml-cpp's events into a tree. Internal to common/config.
//
// Threads: pure function. Ownership: values.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "common/config/diagnostics.h"
#include "common/config/yaml_tree.h"

namespace joulefarm {

// Text that is valid UTF-8 without control characters, in size. A non-empty argument replaces every
// position. As ParseYamlTree otherwise.
std::optional<YamlNode> BuildYamlTree(absl::string_view text, const std::string& argument,
                                      Diagnostics* diagnostics);

// Adds an error at the first byte that is not UTF-8 or is a control character YAML forbids, or when
// the text is too large.
void CheckYamlText(absl::string_view text, const std::string& argument, Diagnostics* diagnostics);

}  // namespace joulefarm
