// Looking into JSON of engines, which may be anything: what is not there or of another kind is
// absent.
//
// Threads: pure functions. Ownership: pointers are into the JSON given. Only for source files: no
// header of ours shows JSON.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/string_view.h"

namespace joulefarm::agent {

// Discarded when it is no JSON.
inline nlohmann::json ParseJson(absl::string_view text) {
  return nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
}

// Null when there is no such member.
inline const nlohmann::json* Member(const nlohmann::json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

// A whole number that counts something.
inline std::optional<std::int32_t> Count(const nlohmann::json& object, const char* name) {
  const nlohmann::json* value = Member(object, name);
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  const auto number = value->get<std::int64_t>();
  if (number < 0 || number > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  return static_cast<std::int32_t>(number);
}

}  // namespace joulefarm::agent
