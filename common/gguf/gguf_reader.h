// Reads what a GGUF file (version 2 or 3, little-endian) says about its model: architecture,
// quantisation, parameters, context length. Never reads the tensors' data. Files come from
// strangers: every count and length is bounded by the bytes that are there and by constants, and
// anything odd is an error that names what and where.
//
// Threads: pure functions, may be called from any thread. Ownership: results own their strings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm {

struct GgufInfo {
  uint32_t version = 0;
  std::string architecture;           // general.architecture, never empty
  std::optional<std::string> name;    // general.name
  std::optional<uint32_t> file_type;  // general.file_type, as stored
  std::string quantisation;           // "F16", "Q8_0", "Q4_K_M"; empty when it cannot be told
  uint64_t parameter_count = 0;       // elements of all tensors
  uint64_t tensor_count = 0;
  std::optional<uint64_t> context_length;  // <architecture>.context_length, in tokens
  std::optional<uint64_t> block_count;     // <architecture>.block_count, layers
  uint64_t header_bytes = 0;               // from the file's start to the first tensor's data
};

// What the bytes given to ReadGguf are.
enum class GgufExtent {
  kWholeFile,  // tensors that reach past the end are an error
  kPrefix,     // only the beginning: the data is not looked for
};

// InvalidArgument: not a GGUF file, a version or byte order that is not supported, or contents that
// make no sense. OutOfRange: truncated. Both name the place.
absl::StatusOr<GgufInfo> ReadGguf(absl::string_view bytes, GgufExtent extent);

// As above for a whole file. Besides: NotFound, and Unavailable when reading fails.
absl::StatusOr<GgufInfo> ReadGgufFile(const std::string& path);

}  // namespace joulefarm
