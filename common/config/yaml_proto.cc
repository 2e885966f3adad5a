#include "common/config/yaml_proto.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/scalar.h"
#include "common/config/suggest.h"
#include "common/config/yaml_tree.h"
#include "google/protobuf/descriptor.h"
#include "joulefarm/config/v1/options.pb.h"

namespace joulefarm {
namespace {

namespace pb = google::protobuf;

std::string Describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlKind::kNull:
      return "nothing";
    case YamlKind::kScalar:
      return absl::StrCat(node.style == ScalarStyle::kQuoted ? "the text " : "", Quoted(node.text));
    case YamlKind::kSequence:
      return "a list";
    case YamlKind::kMap:
      return "a mapping";
    case YamlKind::kRefused:
      break;
  }
  return "an alias";
}

class Converter {
 public:
  Converter(Diagnostics* diagnostics, SourceMap* source)
      : diagnostics_(*diagnostics), source_(*source) {}

  // A mapping into a message; `name` is what errors call it.
  void ToMessage(const YamlNode& node, absl::string_view name, const std::string& path,
                 pb::Message* message) {
    const pb::Descriptor* descriptor = message->GetDescriptor();
    if (descriptor->options().GetExtension(config::v1::any_scalar)) {
      ToScalar(node, name, message);
      return;
    }
    for (int i = 0; i < descriptor->field_count(); ++i) {
      if (descriptor->field(i)->options().GetExtension(config::v1::inline_)) {
        ToField(node, descriptor->field(i), name, path, message);
        return;
      }
    }
    if (!Expect(node, YamlKind::kMap, name, "a mapping of keys to values")) return;
    for (const YamlEntry& entry : node.entries) {
      const std::string entry_path = JoinPath(path, entry.key);
      const pb::FieldDescriptor* field = descriptor->FindFieldByName(entry.key);
      if (field == nullptr) {
        Unknown(entry, descriptor);
        continue;
      }
      source_.Add(entry_path, entry.key_position, entry.value.position);
      ToField(entry.value, field, entry.key, entry_path, message);
    }
  }

 private:
  void ToField(const YamlNode& node, const pb::FieldDescriptor* field, absl::string_view name,
               const std::string& path, pb::Message* message) {
    const pb::Reflection* reflection = message->GetReflection();
    const bool is_message = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
    if (field->is_repeated() && field->options().GetExtension(config::v1::ordered_map)) {
      ToOrderedMap(node, field, name, path, message);
    } else if (field->is_repeated()) {
      ToList(node, field, name, path, message);
    } else if (is_message) {
      ToMessage(node, name, path, reflection->MutableMessage(message, field));
    } else if (Expect(node, YamlKind::kScalar, name, Wanted(field))) {
      Report(node, SetField(message, field, node.text, node.style));
    }
  }

  void ToList(const YamlNode& node, const pb::FieldDescriptor* field, absl::string_view name,
              const std::string& path, pb::Message* message) {
    if (!Expect(node, YamlKind::kSequence, name, "a list such as [a, b]")) return;
    const bool is_message = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
    for (size_t i = 0; i < node.items.size(); ++i) {
      const YamlNode& item = node.items[i];
      const std::string item_path = JoinPath(path, i);
      const std::string item_name = JoinPath(name, i);
      source_.Add(item_path, item.position, item.position);
      if (is_message) {
        ToMessage(item, item_name, item_path, message->GetReflection()->AddMessage(message, field));
      } else if (Expect(item, YamlKind::kScalar, item_name, Wanted(field))) {
        Report(item, AddToField(message, field, item.text, item.style));
      }
    }
  }

  // A mapping whose keys are the operator's own words.
  void ToOrderedMap(const YamlNode& node, const pb::FieldDescriptor* field, absl::string_view name,
                    const std::string& path, pb::Message* message) {
    if (!Expect(node, YamlKind::kMap, name, "a mapping of keys to values")) return;
    const pb::FieldDescriptor* key_field = field->message_type()->FindFieldByName("key");
    const pb::FieldDescriptor* value_field = field->message_type()->FindFieldByName("value");
    for (const YamlEntry& entry : node.entries) {
      const std::string entry_path = JoinPath(path, entry.key);
      source_.Add(entry_path, entry.key_position, entry.value.position);
      pb::Message* pair = message->GetReflection()->AddMessage(message, field);
      pair->GetReflection()->SetString(pair, key_field, entry.key);
      ToField(entry.value, value_field, entry.key, entry_path, pair);
    }
  }

  void ToScalar(const YamlNode& node, absl::string_view name, pb::Message* message) {
    if (!Expect(node, YamlKind::kScalar, name, "a single value")) return;
    const auto scalar = ResolveScalar(node.text, node.style);
    if (!scalar.ok()) {
      Report(node, scalar.status());
    } else {
      message->CopyFrom(*scalar);
    }
  }

  // What a file must write for a field, in words.
  static absl::string_view Wanted(const pb::FieldDescriptor* field) {
    switch (field->cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_BOOL:
        return "true or false";
      case pb::FieldDescriptor::CPPTYPE_INT32:
      case pb::FieldDescriptor::CPPTYPE_INT64:
        return "a whole number";
      case pb::FieldDescriptor::CPPTYPE_DOUBLE:
        return "a number";
      default:
        return field->options().GetExtension(config::v1::duration) ? "a duration such as 30s"
                                                                   : "a text";
    }
  }

  bool Expect(const YamlNode& node, YamlKind kind, absl::string_view name,
              absl::string_view wanted) {
    if (node.kind == kind) return true;
    if (node.kind == YamlKind::kRefused) return false;
    if (node.kind == YamlKind::kNull) {
      diagnostics_.Add(node.position, absl::StrCat(Shown(name), " has no value; give it ", wanted,
                                                   " or remove it"));
      return false;
    }
    diagnostics_.Add(node.position,
                     absl::StrCat(Shown(name), " must be ", wanted, "; found ", Describe(node)));
    return false;
  }

  // Schema keys are plain words; an operator's own may be anything. The root has no name.
  static std::string Shown(absl::string_view name) {
    if (name.empty()) return "the file";
    const std::string quoted = Quoted(name);
    const bool plain = quoted.size() == name.size() + 2 && !absl::StrContains(name, " ");
    return plain ? std::string(name) : quoted;
  }

  void Unknown(const YamlEntry& entry, const pb::Descriptor* descriptor) {
    if (diagnostics_.full()) {
      diagnostics_.Add(entry.key_position, "unknown key");
      return;
    }
    const std::vector<std::string> names = FieldNames(descriptor);
    const std::string before_colon = entry.key.substr(0, entry.key.find(':'));
    if (before_colon != entry.key && descriptor->FindFieldByName(before_colon) != nullptr) {
      diagnostics_.Add(entry.key_position,
                       absl::StrCat("unknown key ", Quoted(entry.key),
                                    "; put a space after the colon of ", Quoted(before_colon)));
      return;
    }
    diagnostics_.Add(entry.key_position, absl::StrCat("unknown key ", Quoted(entry.key),
                                                      Suggestion(entry.key, names, "keys here")));
  }

  void Report(const YamlNode& node, const absl::Status& status) {
    if (!status.ok()) diagnostics_.Add(node.position, status.message());
  }

  Diagnostics& diagnostics_;
  SourceMap& source_;
};

}  // namespace

absl::Status ParseYaml(absl::string_view text, absl::string_view file_name,
                       const std::vector<std::string>& set, pb::Message* message,
                       SourceMap* source) {
  message->Clear();
  *source = SourceMap(file_name);
  Diagnostics diagnostics(file_name);
  std::optional<YamlNode> root = ParseYamlTree(text, &diagnostics);
  if (!root.has_value() && !diagnostics.empty()) return diagnostics.ToStatus();
  // Nothing but comments, or a lone "---".
  const bool is_empty = !root.has_value() || root->kind == YamlKind::kNull;
  if (!root.has_value()) root.emplace();
  for (const std::string& assignment : set) ApplySet(assignment, &*root, &diagnostics);
  if (root->kind == YamlKind::kNull) {
    if (!message->GetDescriptor()->options().GetExtension(config::v1::may_be_empty)) {
      diagnostics.Add(SourcePosition(), "the file is empty; write keys and values");
    }
    return diagnostics.ToStatus();
  }
  if (is_empty) root->position = SourcePosition();
  source->Add("", root->position, root->position);
  Converter(&diagnostics, source).ToMessage(*root, "", "", message);
  return diagnostics.ToStatus();
}

absl::Status ParseYaml(absl::string_view text, absl::string_view file_name, pb::Message* message,
                       SourceMap* source) {
  return ParseYaml(text, file_name, {}, message, source);
}

absl::Status ParseYamlFile(const std::filesystem::path& path, pb::Message* message,
                           SourceMap* source) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return absl::NotFoundError(
        absl::StrCat(path.string(), ": no such file; check the path after --config"));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::UnavailableError(
        absl::StrCat(path.string(), ": cannot be opened: ", std::strerror(errno)));
  }
  std::string text(kMaxYamlBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) {
    return absl::UnavailableError(
        absl::StrCat(path.string(), ": reading failed: ", std::strerror(errno)));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return ParseYaml(text, path.string(), message, source);
}

}  // namespace joulefarm
