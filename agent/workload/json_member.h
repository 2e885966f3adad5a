// Looking into JSON of engines, which may be anything: what is not there or of another kind is
// absent.
//
// Threads: pure functions. Ownership: pointers are into the JSON given. Only for source files: no
// header of ours shows JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/string_view.h"

namespace joulefarm::agent {

// Nothing that is waited for is nested nearly as deep. Writing out what is far deeper, as for an
// error's text, would end the process: it recurses.
inline bool NestedTooDeep(absl::string_view json) {
  constexpr int kDeepest = 100;
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

// Discarded when it is no JSON, or nested beyond all sense.
inline nlohmann::json ParseJson(absl::string_view text) {
  if (NestedTooDeep(text)) return nlohmann::json(nlohmann::json::value_t::discarded);
  return nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
}

// Null when there is no such member.
inline const nlohmann::json* Member(const nlohmann::json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

// A whole number from 0, as of what is counted; nullopt: none.
inline std::optional<std::int32_t> CountOf(const nlohmann::json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  const auto number = value.get<std::int64_t>();
  if (number < 0 || number > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  return static_cast<std::int32_t>(number);
}

inline std::optional<std::int32_t> Count(const nlohmann::json& object, const char* name) {
  const nlohmann::json* value = Member(object, name);
  return value == nullptr ? std::nullopt : CountOf(*value);
}

}  // namespace joulefarm::agent
