#include "cli/output/json.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kReplaceInvalid = Json::error_handler_t::replace;

// Absent when the text is not JSON. Compact, on one line, unless indented.
std::optional<Json> Parse(absl::string_view text) {
  Json parsed = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return std::nullopt;
  return parsed;
}

std::string Scalar(const Json& json) {
  if (json.is_string()) return OneLine(json.get<std::string>());
  if (json.is_null()) return "-";
  return json.dump(-1, ' ', false, kReplaceInvalid);
}

void AppendForPeople(const Json& json, const std::string& indent, std::vector<std::string>& lines) {
  for (const auto& [key, value] : json.items()) {
    const std::string label = json.is_array() ? "-" : absl::StrCat(OneLine(key), ":");
    if (!value.is_structured()) {
      lines.push_back(absl::StrCat(indent, label, " ", Scalar(value)));
    } else if (value.empty()) {
      lines.push_back(absl::StrCat(indent, label, " none"));
    } else if (json.is_array() && value.is_object()) {
      // An object in a list: its first key stands beside the dash.
      std::vector<std::string> inner;
      AppendForPeople(value, indent + "  ", inner);
      inner.front().replace(indent.size(), 1, "-");
      lines.insert(lines.end(), inner.begin(), inner.end());
    } else {
      lines.push_back(indent + label);
      AppendForPeople(value, indent + "  ", lines);
    }
  }
}

std::string Brief(const Json& json) {
  if (!json.is_structured()) return Scalar(json);
  if (json.empty()) return "none";
  std::vector<std::string> parts;
  for (const auto& [key, value] : json.items()) {
    const bool named = json.is_array() && value.is_object() && value.contains("name");
    std::string text = named ? Scalar(value["name"]) : Brief(value);
    if (!named && value.is_structured() && !value.empty()) text = absl::StrCat("(", text, ")");
    parts.push_back(json.is_array() ? text : absl::StrCat(OneLine(key), "=", text));
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace

std::string JsonObjectLines(const std::vector<Column>& columns, const RowValues& row) {
  const std::vector<std::string> keys = JsonKeys(columns);
  std::string out = "{";
  for (std::size_t i = 0; i < keys.size(); ++i) {
    absl::StrAppend(&out, i == 0 ? "\n  " : ",\n  ", JsonString(keys[i]), ": ",
                    JsonValue(row[i], columns[i].kind));
  }
  return out + (keys.empty() ? "}\n" : "\n}\n");
}

std::vector<std::string> JsonForPeople(absl::string_view json) {
  const std::optional<Json> parsed = Parse(json);
  if (!parsed) return {OneLine(json)};
  if (!parsed->is_structured()) return {Scalar(*parsed)};
  if (parsed->empty()) return {"none"};
  std::vector<std::string> lines;
  AppendForPeople(*parsed, "", lines);
  return lines;
}

std::string JsonInBrief(absl::string_view json) {
  const std::optional<Json> parsed = Parse(json);
  return parsed ? Brief(*parsed) : OneLine(json);
}

}  // namespace joulefarm::cli
