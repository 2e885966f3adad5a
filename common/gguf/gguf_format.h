// The parts of the GGUF container format (github.com/ggml-org/ggml, docs/gguf.md) that reader and
// writer share: value types, tensor types and their block sizes. Little-endian, versions 2 and 3.
//
// Threads: constants and pure functions. Ownership: none.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace joulefarm {

inline constexpr char kGgufMagic[4] = {'G', 'G', 'U', 'F'};
inline constexpr uint32_t kGgufVersionMin = 2;
inline constexpr uint32_t kGgufVersionMax = 3;
inline constexpr uint32_t kGgufDefaultAlignment = 32;

// Type of a metadata value, as stored.
enum class GgufValueType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// Tensor types this project writes itself; the reader knows more of them by number.
enum class GgmlType : uint32_t { kF32 = 0, kF16 = 1 };

// How a tensor type lays out a row: `bytes` bytes for every `elements` elements.
struct GgmlBlock {
  absl::string_view name;  // as llama.cpp prints it: "F16", "Q4_K"
  uint32_t elements;
  uint32_t bytes;
};

// Layout of the tensor type with this number; absent for a number not known here.
std::optional<GgmlBlock> GgmlBlockOf(uint32_t type);

// Name of a `general.file_type` number: "F16", "Q8_0", "Q4_K_M", …; empty for a number not known
// here.
absl::string_view GgufFileTypeName(uint32_t file_type);

// Bytes of one value of this type; absent for strings, arrays and unknown types.
std::optional<uint32_t> GgufFixedSize(uint32_t value_type);

}  // namespace joulefarm
