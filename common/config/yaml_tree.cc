#include "common/config/yaml_tree.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/config/suggest.h"
#include "common/config/yaml_events.h"

namespace joulefarm {
namespace {

constexpr size_t kLongestArgument = 80;

// How errors name the argument.
std::string ArgumentName(absl::string_view assignment) {
  const std::string quoted = Quoted(assignment);
  const bool plain = quoted == absl::StrCat("\"", assignment, "\"");
  return absl::StrCat("--set ",
                      plain && assignment.size() <= kLongestArgument ? assignment : quoted);
}

// The entry of a map that the path begins with: the whole path, or a key followed by a dot; the
// longest such key. Takes it off the path.
YamlEntry* TakeExisting(YamlNode* map, absl::string_view* path) {
  YamlEntry* found = nullptr;
  for (YamlEntry& entry : map->entries) {
    const bool fits = *path == entry.key || absl::StartsWith(*path, absl::StrCat(entry.key, "."));
    if (fits && (found == nullptr || entry.key.size() > found->key.size())) found = &entry;
  }
  if (found != nullptr) {
    path->remove_prefix(found->key.size());
    absl::ConsumePrefix(path, ".");
  }
  return found;
}

std::optional<YamlNode> ParseSetValue(absl::string_view value, const std::string& argument,
                                      Diagnostics* diagnostics) {
  YamlNode empty;
  empty.kind = YamlKind::kScalar;
  empty.style = ScalarStyle::kQuoted;
  empty.position.argument = argument;
  if (value.empty()) return empty;
  auto node = BuildYamlTree(value, argument, diagnostics);
  // Nothing but a comment or blanks is nothing.
  if (!node.has_value() && diagnostics->empty()) return empty;
  return node;
}

}  // namespace

std::optional<YamlNode> ParseYamlTree(absl::string_view text, Diagnostics* diagnostics) {
  absl::ConsumePrefix(&text, "\xEF\xBB\xBF");
  CheckYamlText(text, "", diagnostics);
  if (!diagnostics->empty()) return std::nullopt;
  return BuildYamlTree(text, "", diagnostics);
}

void ApplySet(absl::string_view assignment, YamlNode* root, Diagnostics* diagnostics) {
  const SourcePosition here = {.argument = ArgumentName(assignment)};
  Diagnostics unreadable("");
  CheckYamlText(assignment, here.argument, &unreadable);
  if (!unreadable.empty()) {
    diagnostics->Add({.argument = "--set"}, "the value is not printable UTF-8; check the command");
    return;
  }
  const size_t equals = assignment.find('=');
  absl::string_view path = assignment.substr(0, equals);
  if (equals == absl::string_view::npos || path.empty() || path.front() == '.' ||
      path.back() == '.' || absl::StrContains(path, "..") ||
      std::count(path.begin(), path.end(), '.') >= static_cast<std::ptrdiff_t>(kMaxYamlDepth)) {
    diagnostics->Add(here,
                     "not of the form key=value; write keys joined by dots, such as "
                     "workloads.chat.max_tokens=32");
    return;
  }
  Diagnostics value_errors(diagnostics->file_name());
  auto value = ParseSetValue(assignment.substr(equals + 1), here.argument, &value_errors);
  if (!value_errors.empty() || !value.has_value()) {
    // Every position is the argument, so the status' text is the messages already.
    const std::string prefix = absl::StrCat(here.argument, ": ");
    const absl::Status status = value_errors.ToStatus();
    absl::string_view message = status.message();
    absl::ConsumePrefix(&message, prefix);
    diagnostics->Add(here, message);
    return;
  }
  YamlNode* node = root;
  while (!path.empty()) {
    if (node->kind == YamlKind::kNull) {
      node->kind = YamlKind::kMap;
      node->position = here;
    }
    if (node->kind != YamlKind::kMap) {
      diagnostics->Add(here, absl::StrCat("what is above ", Quoted(path),
                                          " is not a mapping; set the whole of it instead"));
      return;
    }
    YamlEntry* entry = TakeExisting(node, &path);
    if (entry == nullptr) {
      const size_t dot = path.find('.');
      entry = &node->entries.emplace_back();
      entry->key = std::string(path.substr(0, dot));
      entry->key_position = here;
      entry->value.position = here;
      path = dot == absl::string_view::npos ? absl::string_view() : path.substr(dot + 1);
    }
    node = &entry->value;
    if (path.empty()) entry->key_position = here;
  }
  *node = std::move(*value);
}

}  // namespace joulefarm
