// An optional field of a message as what a column takes.
#pragma once

#include <optional>

// NULL where the field is absent.
#define JF_MAYBE(message, field) \
  ((message).has_##field() ? std::make_optional((message).field()) : std::nullopt)
