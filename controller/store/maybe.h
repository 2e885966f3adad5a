// An optional field of a message as what a column takes.
//
// Thread rule: reads the message only. Ownership: values.
#pragma once

#include <optional>

// NULL where the field is absent.
#define JF_MAYBE(message, field) \
  ((message).has_##field() ? std::make_optional((message).field()) : std::nullopt)
