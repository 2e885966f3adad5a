// Protobuf enums as the words the database holds: without prefix; states and grades in upper case
// (SUCCEEDED), vocabulary words (kind, provenance, scope, quantity, phase, stream, domain) in lower
// case (measured). UNSPECIFIED is no word: NULL.
//
// Threads: safe everywhere (tables are built once). Ownership: the returned references live for
// ever.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/generated_enum_reflection.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace joulefarm::controller {

// The word of a value; empty for UNSPECIFIED and for numbers the enum does not know.
const std::string& EnumText(const google::protobuf::EnumDescriptor* type, int value);

// The value of a word; absent for a word the enum does not know.
std::optional<int> EnumNumber(const google::protobuf::EnumDescriptor* type, absl::string_view text);

// All words, in the order of their values.
std::vector<std::string> EnumTexts(const google::protobuf::EnumDescriptor* type);

template <typename E>
const std::string& EnumText(E value) {
  return EnumText(google::protobuf::GetEnumDescriptor<E>(), static_cast<int>(value));
}

}  // namespace joulefarm::controller
