#include "common/table/json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/text/json_string.h"
#include "common/text/number.h"

namespace joulefarm {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kReplaceInvalid = Json::error_handler_t::replace;

// Absent when the text is not JSON. Compact, on one line, unless indented.
std::optional<Json> Parse(absl::string_view text) {
  Json parsed = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return std::nullopt;
  return parsed;
}

// `, ` and `: ` as between our own keys; dump() has only the dense and the many-line form.
void AppendSpaced(const Json& json, std::string& out) {
  if (json.is_object()) {
    out += '{';
    const char* separator = "";
    for (const auto& [key, value] : json.items()) {
      absl::StrAppend(&out, separator, JsonString(key), ": ");
      AppendSpaced(value, out);
      separator = ", ";
    }
    out += '}';
  } else if (json.is_array()) {
    out += '[';
    const char* separator = "";
    for (const Json& value : json) {
      out += separator;
      AppendSpaced(value, out);
      separator = ", ";
    }
    out += ']';
  } else {
    out += json.dump(-1, ' ', false, kReplaceInvalid);
  }
}

}  // namespace

std::string JsonValue(const Value& value, ColumnKind kind) {
  struct Visitor {
    ColumnKind kind;
    std::string operator()(std::monostate) const { return "null"; }
    std::string operator()(const std::string& text) const {
      if (kind == ColumnKind::kJson) {
        if (const std::optional<Json> parsed = Parse(text)) {
          std::string out;
          AppendSpaced(*parsed, out);
          return out;
        }
      }
      return JsonString(text);
    }
    std::string operator()(std::int64_t number) const {
      if (kind == ColumnKind::kBoolean && (number == 0 || number == 1)) {
        return number == 1 ? "true" : "false";
      }
      return absl::StrCat(number);
    }
    std::string operator()(double number) const {
      return std::isfinite(number) ? ShortestReal(number) : "null";
    }
    std::string operator()(bool truth) const { return truth ? "true" : "false"; }
    std::string operator()(const Blob& blob) const {
      return JsonString(absl::BytesToHexString(blob.bytes));
    }
  };
  return std::visit(Visitor{kind}, value);
}

std::vector<std::string> JsonKeys(const std::vector<Column>& columns) {
  std::vector<std::string> keys;
  std::set<std::string> taken;
  for (const Column& column : columns) taken.insert(column.name);
  std::set<std::string> used;
  for (const Column& column : columns) {
    std::string key = column.name;
    for (int n = 2; used.count(key) > 0; ++n) {
      const std::string candidate = absl::StrCat(column.name, "_", n);
      if (taken.count(candidate) == 0) key = candidate;
    }
    used.insert(key);
    keys.push_back(key);
  }
  return keys;
}

std::string JsonObject(const std::vector<std::string>& keys, const std::vector<Column>& columns,
                       const RowValues& row) {
  std::string out = "{";
  for (std::size_t i = 0; i < keys.size(); ++i) {
    absl::StrAppend(&out, i == 0 ? "" : ", ", JsonString(keys[i]), ": ",
                    JsonValue(row[i], columns[i].kind));
  }
  return out + "}";
}

}  // namespace joulefarm
