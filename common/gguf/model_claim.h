// Whether a file is the model it claims to be, asked before it is pushed and again when it arrives.
//
// Threads: pure functions, any thread. Ownership: results own their strings.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/gguf/gguf_reader.h"

namespace joulefarm {

// A file claims to be a model when it begins with GGUF's magic or `name` ends in ".gguf". Absent:
// it claims nothing, it is just a file. INVALID_ARGUMENT with what is wrong where and what to do
// when it is not what it claims; NOT_FOUND and UNAVAILABLE when it cannot be read. Errors name the
// file `shown`.
absl::StatusOr<std::optional<GgufInfo>> ReadClaimedModel(absl::string_view name,
                                                         const std::string& path,
                                                         absl::string_view shown);

}  // namespace joulefarm
